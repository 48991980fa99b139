"""Keys of `[identity]`: where our key lies and when its certificate is renewed."""

from dataclasses import dataclass
from typing import Literal

from gateway.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The gateway's key and certificate. Without a TPM and `allow_software_key` there is no enrolment.

    Args:
        key: "tpm", "software", or "auto": in the TPM; in a file only where there is none and
            `allow_software_key` permits it.
        allow_software_key: A key may lie in a file: whoever reads the card can copy it. Shown as trouble.
        tcti: How to reach the TPM: "device:/dev/tpmrm0", or another TCTI of tpm2-tss.
        renew_at: Share of a certificate's lifetime after which it is renewed.
        tpm_timeout_s: One task of the TPM may take this long; attestation takes up to three of them.
    """

    key: Literal["auto", "tpm", "software"] = "auto"
    allow_software_key: bool = False
    tcti: str = "device:/dev/tpmrm0"
    renew_at: float = 0.66
    tpm_timeout_s: float = 20.0

    def __post_init__(self) -> None:
        ranges: tuple[tuple[str, float, float, float], ...] = (
            ("renew_at", self.renew_at, 0.1, 0.95),
            ("tpm_timeout_s", self.tpm_timeout_s, 1, 300),
        )
        problems = [
            (key, f"{value:g} is out of range; give {low:g} to {high:g}")
            for key, value, low, high in ranges
            if not low <= value <= high
        ]
        if self.key == "software" and not self.allow_software_key:
            problems.append(("key", '"software" needs allow_software_key = true; or choose "tpm"'))
        if not self.tcti.strip():
            problems.append(("tcti", 'is empty; give "device:/dev/tpmrm0"'))
        if problems:
            raise ConfigError(*problems)
