"""The authority's keys: made and opened in the place that the settings name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.ca.config import Config
from cloud.ca.files import write
from cloud.errors import SignerError

Kind = Literal["file", "pkcs11", "tpm"]


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where one key is.

    Args:
        kind: "file": `folder`/key.pem, encrypted. "pkcs11": in the token, under `label`. "tpm":
            `folder`/key.tss.pem, which only this machine's TPM can use.
        folder: Of the authority whose key it is.
        label: Its name in a security module.
    """

    kind: Kind
    folder: Path
    label: str

    @property
    def file(self) -> Path:
        """Where the key is kept, encrypted or wrapped; unused with a security module."""
        return self.folder / ("key.tss.pem" if self.kind == "tpm" else "key.pem")


def make_key(place: KeyPlace, config: Config, passphrase: str) -> ec.EllipticCurvePrivateKey:
    """Make a new P-256 key there and return it.

    Raises:
        SignerError: The module or TPM is missing or refuses.
    """
    match place.kind:
        case "file":
            key = ec.generate_private_key(ec.SECP256R1())
            write(place.file, encrypted(key, passphrase.encode()))
            return key
        case "pkcs11":
            from cloud.ca.pkcs11 import make_pkcs11_key  # noqa: PLC0415  few have one

            return make_pkcs11_key(config, place.label, passphrase)
        case "tpm":
            from cloud.ca.tpm import make_tpm_key  # noqa: PLC0415  few have one

            return make_tpm_key(config.tpm_tcti, place.file)


def open_key(place: KeyPlace, config: Config, passphrase: str) -> ec.EllipticCurvePrivateKey:
    """Return the key that is there.

    Raises:
        SignerError: It is not, or cannot be opened.
    """
    match place.kind:
        case "file":
            return open_file(place.file, passphrase.encode())
        case "pkcs11":
            from cloud.ca.pkcs11 import open_pkcs11_key  # noqa: PLC0415  few have one

            return open_pkcs11_key(config, place.label, passphrase)
        case "tpm":
            from cloud.ca.tpm import open_tpm_key  # noqa: PLC0415  few have one

            return open_tpm_key(config.tpm_tcti, place.file)


def encrypted(key: ec.EllipticCurvePrivateKey, passphrase: bytes) -> bytes:
    """Return the key as PKCS #8, encrypted (AES-256); `openssl pkey` can open it, too."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase),
    )


def open_file(path: Path, passphrase: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the key of an encrypted file.

    Raises:
        SignerError: The file is missing or damaged, or the passphrase is not its own.
    """
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase)
    except OSError as error:
        raise SignerError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError):
        raise SignerError(f"{path}: the passphrase does not open it, or it is damaged") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SignerError(f"{path}: is no elliptic key")
    return key
