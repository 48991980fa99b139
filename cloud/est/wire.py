"""What goes over the wire, pure: bytes to values and back, refusing whatever else comes.

Sources: RFC 7030 sections 4.1.3, 4.2 and 4.5.2, RFC 8951 section 3 (base64), RFC 9908 (CSR attributes).
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Final, TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from cloud.errors import RefusedError

BODY_MAX_BYTES: Final = 32_768
"""The largest honest body, an attestation, has 6 kB; nginx has the same limit."""

CSR_ATTRIBUTES: Final = bytes.fromhex(
    "3021"  # SEQUENCE of AttrOrOID
    "301506072a8648ce3d0201310a06082a8648ce3d030107"  # a key on an elliptic curve: P-256
    "06082a8648ce3d040302"  # signed by ECDSA with SHA-256
)
"""What we want in a request (RFC 9908, section 3.2), in DER."""

_WHITE: Final = b" \t\r\n"
_LINE_CHARS: Final = 64
_PEM: Final = b"-----BEGIN"


def decoded(text: bytes, what: str) -> bytes:
    """Return what base64 stands for; blanks and line ends anywhere in it do not matter (RFC 8951, 3.1).

    Raises:
        RefusedError: It is something else.
    """
    if text.lstrip(_WHITE).startswith(_PEM):
        raise RefusedError("base64", f"{what}: PEM; send base64 without the BEGIN and END lines", 400)
    try:
        return base64.b64decode(text.translate(None, _WHITE), validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError("base64", f"{what}: not base64", 400) from None


def encoded(data: bytes) -> bytes:
    """Return base64 in lines that every client can take."""
    text = base64.b64encode(data)
    return b"".join(text[at : at + _LINE_CHARS] + b"\r\n" for at in range(0, len(text), _LINE_CHARS))


def certificates(found: Sequence[x509.Certificate]) -> bytes:
    """Return a certs-only CMC message (RFC 5272) in base64."""
    return encoded(pkcs7.serialize_certificates(list(found), Encoding.DER))


# --- JSON ---------------------------------------------------------------------------------------------

_Base64 = Annotated[str, msgspec.Meta(min_length=1, max_length=16_384)]
_Id = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]


class AttestationBegin(msgspec.Struct, frozen=True):
    """A TPM introduces itself and two of its keys."""

    ek_certificate: _Base64
    ek_public: _Base64
    ak_public: _Base64
    key_public: _Base64


class AttestationChallenge(msgspec.Struct, frozen=True):
    """What only that TPM can answer."""

    id: _Id
    credential_blob: _Base64
    encrypted_secret: _Base64
    nonce: _Base64


class AttestationAnswer(msgspec.Struct, frozen=True):
    """Its answer."""

    secret: _Base64
    attest: _Base64
    signature: _Base64


class RecoveryBegin(msgspec.Struct, frozen=True):
    """Somebody says that he held this certificate."""

    certificate: Annotated[str, msgspec.Meta(max_length=16_384)]


class RecoveryChallenge(msgspec.Struct, frozen=True):
    """What he has to sign with its key."""

    id: _Id
    nonce: _Base64


class RecoveryAnswer(msgspec.Struct, frozen=True):
    """The signature, and what is to be certified."""

    csr: _Base64
    signature: _Base64


class Broker(msgspec.Struct, frozen=True):
    """Where messages go."""

    host: str
    port: int


class Parameters(msgspec.Struct, frozen=True):
    """What an enrolled gateway has to know."""

    gateway: str
    broker: Broker
    command_keys: str
    attestation: str


_Message = TypeVar("_Message", AttestationBegin, AttestationAnswer, RecoveryBegin, RecoveryAnswer)


def read(body: bytes, kind: type[_Message]) -> _Message:
    """Return the message. Raises RefusedError if the body is no such JSON."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        problem = " ".join(str(error).split())[:200]
        raise RefusedError("json", f"the body is not what the protocol says: {problem}", 400) from None


def certificate_of(pem: bytes, what: str) -> x509.Certificate:
    """Return the first certificate of a PEM text, sound enough to be asked for its key and names.

    Raises:
        RefusedError: There is none.
    """
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        certificate.public_key()
        _ = certificate.subject, certificate.issuer, certificate.extensions
    except Exception as error:  # noqa: BLE001  # cryptography has six unrelated classes for "broken"
        problem = " ".join(str(error).split())[:120]
        raise RefusedError("certificate-broken", f"{what}: no readable certificate: {problem}", 400) from None
    return certificate
