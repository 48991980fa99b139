"""Keys in files (PKCS#8), for where there is no TPM: whoever reads the card can copy them."""

from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway import durable
from gateway.errors import IdentityError
from gateway.identity import csr
from gateway.identity.keys import read_key_file


class SoftwareKeys:
    """`Keys` whose file holds the whole key."""

    kind: Literal["software"] = "software"

    def create(self, key_file: Path) -> None:
        """Write a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            durable.write(key_file, pem)
        except OSError as error:
            raise IdentityError(
                f"{key_file}: the new key cannot be written: {error.strerror or error}"
            ) from None

    def csr(self, key_file: Path, gateway_id: str) -> bytes:
        """Return a certificate request (DER)."""
        return csr.request(_load(key_file), gateway_id)

    def sign(self, key_file: Path, data: bytes) -> bytes:
        """Return the signature (ECDSA with SHA-256, DER)."""
        return _load(key_file).sign(data, ec.ECDSA(hashes.SHA256()))

    def attester(self) -> None:
        """Return None: a file proves nothing."""


def _load(key_file: Path) -> ec.EllipticCurvePrivateKey:
    pem = read_key_file(key_file)
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):  # TypeError: it wants a password
        raise IdentityError(f"{key_file}: the key file is damaged: enrol again") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise IdentityError(f"{key_file}: is no P-256 key: enrol again")
    return key
