"""The folder in which RabbitMQ looks for CRLs at each handshake: Erlang's `ssl_crl_hash_dir`.

A CRL lies in a file named after its issuer's hash, as `openssl rehash` names it; the first of an issuer ends
in .r0 (ssl_crl_hash_dir(3erl), openssl-rehash(1)). Nothing needs to be reloaded, and an issuer without a CRL
is refused: this fails closed.
"""

import hashlib
import re
from collections import Counter
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from cloud.brokers.crl import parse
from cloud.brokers.files import replace

_READABLE = 0o644
"""RabbitMQ runs as another user, and CRLs are no secret."""
_SEQUENCE, _SET, _UTF8 = 0x30, 0x31, 0x0C
_SPACE = " \t\n\v\f\r"
_SPACES = re.compile(f"[{_SPACE}]+")
_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
_OURS = re.compile(r"[0-9a-f]{8}\.r\d+")


def place(pem: bytes, folder: Path) -> None:
    """Put each CRL into its file; remove the files of issuers that are not ours any more. Raises OSError."""
    seen: Counter[str] = Counter()
    for crl in parse(pem):
        name = issuer_hash(crl.issuer)
        replace(folder / f"{name}.r{seen[name]}", crl.public_bytes(Encoding.PEM), _READABLE)
        seen[name] += 1
    kept = {f"{name}.r{number}" for name, count in seen.items() for number in range(count)}
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in kept:
            path.unlink()


def issuer_hash(name: x509.Name) -> str:
    """Return what OpenSSL calls X509_NAME_hash: of the name with ASCII in lower case and spaces folded."""
    canonical = b"".join(_set(parts) for parts in name.rdns)
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _set(parts: x509.RelativeDistinguishedName) -> bytes:
    return _der(_SET, b"".join(sorted(_attribute(part) for part in parts)))


def _attribute(part: "x509.NameAttribute[str | bytes]") -> bytes:
    text = part.value.decode() if isinstance(part.value, bytes) else part.value
    folded = _SPACES.sub(" ", text.strip(_SPACE)).translate(_LOWER)
    return _der(_SEQUENCE, _identifier(part.oid) + _der(_UTF8, folded.encode()))


def _identifier(oid: x509.ObjectIdentifier) -> bytes:
    first, second, *others = map(int, oid.dotted_string.split("."))
    content = b"".join(_base_128(number) for number in (40 * first + second, *others))
    return _der(0x06, content)


def _base_128(number: int) -> bytes:
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:  # noqa: PLR2004  # the short form of X.690
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content
