"""A TPM's proof without a TPM: an endorsement key, an attestation key, and a server that checks both.

Structures are ours, not the TCG's; the order of proof is the real one: only the chip with the endorsement key
can open the secret, and only its attestation key can sign for the device key and the nonce.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_ECDSA = ec.ECDSA(hashes.SHA256())
MAKER = b"certificate of a maker that is trusted"


class Chip:
    """Implements gateway.identity.keys.Attester for a software key.

    Args:
        certificate: Who vouches for it.
        lies: It signs for a key that it does not hold.
    """

    def __init__(self, certificate: bytes = MAKER, *, lies: bool = False) -> None:
        self._certificate, self._lies = certificate, lies
        self._ek = rsa.generate_private_key(65537, 2048)
        self._ak = ec.generate_private_key(ec.SECP256R1())
        self._public = b""

    def begin(self, key_file: Path) -> Mapping[str, bytes]:
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        self._public = _spki(key.public_key())
        return {
            "ek_certificate": self._certificate,
            "ek_public": _spki(self._ek.public_key()),
            "ak_public": _spki(self._ak.public_key()),
            "key_public": self._public,
        }

    def answer(self, challenge: Mapping[str, bytes]) -> Mapping[str, bytes]:
        wrapping = self._ek.decrypt(challenge["encrypted_secret"], _OAEP)
        blob = challenge["credential_blob"]
        attest = challenge["nonce"] + (b"another" if self._lies else self._public)
        return {
            "secret": AESGCM(wrapping).decrypt(blob[:12], blob[12:], None),
            "attest": attest,
            "signature": self._ak.sign(attest, _ECDSA),
        }


def challenge(told: Mapping[str, bytes]) -> tuple[dict[str, bytes] | None, tuple[bytes, ...]]:
    """Return what the chip must answer and what is kept to check it; None for a maker nobody knows."""
    if told["ek_certificate"] != MAKER:
        return None, ()
    secret, nonce, wrapping, number = os.urandom(32), os.urandom(32), os.urandom(16), os.urandom(12)
    ek = serialization.load_der_public_key(told["ek_public"])
    assert isinstance(ek, rsa.RSAPublicKey)
    sent = {
        "credential_blob": number + AESGCM(wrapping).encrypt(number, secret, None),
        "encrypted_secret": ek.encrypt(wrapping, _OAEP),
        "nonce": nonce,
    }
    return sent, (secret, nonce, told["ak_public"], told["key_public"])


def key_proven(proof: list[object], told: Mapping[str, bytes]) -> bytes | None:
    """Return the device key that was proven to lie in the chip."""
    secret, nonce, ak_der, key_public = (bytes(part) for part in proof)  # type: ignore[arg-type]
    ak = serialization.load_der_public_key(ak_der)
    assert isinstance(ak, ec.EllipticCurvePublicKey)
    try:
        ak.verify(told["signature"], told["attest"], _ECDSA)
    except InvalidSignature:
        return None
    return key_public if told["secret"] == secret and told["attest"] == nonce + key_public else None


def _spki(key: object) -> bytes:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, spki)  # type: ignore[attr-defined,no-any-return]
