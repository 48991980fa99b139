"""Signatures of what comes down, pure: compact JWS (RFC 7515) with ES256 (RFC 7518, 3.4) and nothing else.

Import it late: cryptography costs 8 MiB. PyJWT would cost 1.2 MiB more; the tests hold this against it.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

_PEM_END: Final = b"-----END PUBLIC KEY-----"
_NO_KEY: Final = "holds no P-256 public key in PEM"
_COORDINATE_BYTES: Final = 32
_TOKEN: Final = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]*)\.([A-Za-z0-9_-]{86})")
"""Header, payload and a signature of 64 bytes; base64url without padding (RFC 7515, 2)."""


def public_keys(pem: bytes) -> list[EllipticCurvePublicKey]:
    """Return all keys of a file. Raises ValueError if it holds none, or something else than P-256."""
    keys = [_public_key(block + _PEM_END) for block in pem.split(_PEM_END)[:-1]]
    if not keys:
        raise ValueError(_NO_KEY)
    return keys


def _public_key(pem: bytes) -> EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(pem.strip() + b"\n")
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{_NO_KEY}: {error}") from None
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise ValueError(_NO_KEY)


def payload(token: bytes, keys: Iterable[EllipticCurvePublicKey]) -> bytes | None:
    """Return what was signed with one of the keys, or None: whatever else it is, is the same to us."""
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        return None
    try:
        header, body, signature = (_decoded(part) for part in parts.groups())
        if not _is_es256(json.loads(header)):
            return None
    except (ValueError, RecursionError):
        return None
    signed = token[: parts.end(2)]
    return body if any(_fits(signature, signed, key) for key in keys) else None


def _decoded(part: bytes) -> bytes:
    return urlsafe_b64decode(part + b"=" * (-len(part) % 4))


def _is_es256(header: object) -> bool:
    """Whether the header names our algorithm and no extension that must be understood (RFC 7515, 4.1.11)."""
    return isinstance(header, dict) and header.get("alg") == "ES256" and "crit" not in header


def _fits(signature: bytes, signed: bytes, key: EllipticCurvePublicKey) -> bool:
    r = int.from_bytes(signature[:_COORDINATE_BYTES], "big")
    s = int.from_bytes(signature[_COORDINATE_BYTES:], "big")
    try:
        key.verify(encode_dss_signature(r, s), signed, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
