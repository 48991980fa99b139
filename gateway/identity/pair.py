"""A key and its certificate."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Pair:
    """What one slot holds.

    Args:
        slot: "a" or "b"; "" for files that the configuration names.
        cert_file: PEM: our certificate, then intermediates.
        key_file: PEM: "TSS2 PRIVATE KEY" (in the TPM) or PKCS#8 (in the file).
    """

    slot: str
    cert_file: Path
    key_file: Path
