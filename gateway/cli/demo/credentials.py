"""With what a cloud end connects to the broker, and signs."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Credentials:
    """The files of one cloud end, whoever made them.

    Args:
        name: Its user name at the broker, the common name of its certificate.
        gateway_id: The gateway that its commands are for.
        ca_file: PEM: who signed the broker's certificate.
        cert_file: PEM: its own certificate.
        key_file: PEM: the key of that.
        command_key_file: PEM: the private key that signs commands and receipts.
    """

    name: str
    gateway_id: str
    ca_file: Path
    cert_file: Path
    key_file: Path
    command_key_file: Path
