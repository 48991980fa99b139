"""Our private key, wherever it lies: in the TPM, or in a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Protocol

from gateway.errors import IdentityError, TpmError
from gateway.identity.config import Config

_TPM_LABEL = b"-----BEGIN TSS2 PRIVATE KEY-----"
_SOFTWARE_LABELS = (b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN EC PRIVATE KEY-----")


class Attester(Protocol):
    """Proves to the cloud that a key lies in a genuine TPM. One object for one proof.

    Every method blocks as those of `Keys`, and raises TpmError or IdentityError.
    """

    def begin(self, key_file: Path) -> Mapping[str, bytes]:
        """Return ek_certificate (DER), ek_public, ak_public and key_public (each a TPM2B_PUBLIC)."""
        ...

    def answer(self, challenge: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Return secret, attest (TPMS_ATTEST) and signature (TPMT_SIGNATURE).

        Args:
            challenge: credential_blob (TPM2B_ID_OBJECT), encrypted_secret (TPM2B_ENCRYPTED_SECRET), nonce.
        """
        ...


class Keys(Protocol):
    """Makes and uses P-256 keys; what the file holds of a key differs by kind.

    Every method may block for `tpm_timeout_s` and a second: not for the loop's thread.

    Raises:
        TpmError: The TPM is missing, does not answer, or refuses.
        IdentityError: The key file cannot be read, written or used here.
    """

    @property
    def kind(self) -> Literal["tpm", "software"]:
        """Where the private part is."""
        ...

    def create(self, key_file: Path) -> None:
        """Make a new key; the file is written in one step and is readable by its owner only."""
        ...

    def csr(self, key_file: Path, gateway_id: str) -> bytes:
        """Return a certificate request (PKCS#10, DER) whose common name is the gateway's id."""
        ...

    def sign(self, key_file: Path, data: bytes) -> bytes:
        """Return the signature of the data: ECDSA with SHA-256, DER."""
        ...

    def attester(self) -> Attester | None:
        """Return who proves where the key lies; None for a key in a file, which proves nothing."""
        ...


def open_keys(config: Config) -> Keys:
    """Return what new keys are made with, as configured; touches no TPM yet.

    Raises:
        TpmError: There is no TPM, and a key in a file is not allowed.
    """
    if config.key == "software":
        return _software()
    missing = missing_tpm(config.tcti)
    if missing is None:
        return _tpm(config)
    if config.key == "auto" and config.allow_software_key:
        return _software()
    allow = (
        "" if config.key == "tpm" else ", or set identity.allow_software_key = true (the card can be copied)"
    )
    raise TpmError(f"there is no TPM at {missing}; fit one and enable it (dtoverlay=tpm-slb9670){allow}")


def keys_of(key_file: Path, config: Config) -> Keys:
    """Return what an existing key is used with, as its file says.

    Raises:
        IdentityError: There is no such file, it cannot be read, or it holds no private key.
    """
    return _tpm(config) if in_tpm(key_file) else _software()


def in_tpm(key_file: Path) -> bool:
    """Return whether the private part of this key is in a TPM, by the label of its file.

    Raises:
        IdentityError: There is no such file, it cannot be read, or it holds no private key.
    """
    pem = read_key_file(key_file)
    if _TPM_LABEL in pem:
        return True
    if any(label in pem for label in _SOFTWARE_LABELS):
        return False
    raise IdentityError(f"{key_file}: holds no private key (PEM); the file is damaged: enrol again")


def read_key_file(key_file: Path) -> bytes:
    """Return what the file holds. Raises IdentityError."""
    try:
        return key_file.read_bytes()
    except OSError as error:
        raise IdentityError(f"{key_file}: our key cannot be read: {error.strerror or error}") from None


def missing_tpm(tcti: str) -> str | None:
    """Return the device of the TPM if there is no such device; None if there is one, or it is no device."""
    kind, _, device = tcti.partition(":")
    device = device or "/dev/tpmrm0"
    return device if kind == "device" and not Path(device).exists() else None


def _tpm(config: Config) -> Keys:
    from gateway.identity.tpm.keys import TpmKeys  # noqa: PLC0415  # only where there is a TPM

    return TpmKeys(config)


def _software() -> Keys:
    from gateway.identity.software import SoftwareKeys  # noqa: PLC0415  # cryptography costs 10 MiB

    return SoftwareKeys()
