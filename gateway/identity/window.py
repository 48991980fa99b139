"""From when to when a certificate is valid, read without a library: the renewal timer asks every time. Pure.

RFC 5280, 4.1: Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version, serialNumber, signature,
issuer, validity SEQUENCE { notBefore, notAfter }, ... } }
"""

import binascii
import hashlib
import re
from calendar import timegm
from dataclasses import dataclass

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_TIME = re.compile(rb"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z")

_SEQUENCE, _INTEGER, _VERSION = 0x30, 0x02, 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_LONG_FORM = 0x80


@dataclass(frozen=True, slots=True)
class Window:
    """The validity of a certificate, Unix seconds."""

    begin_unix_s: float
    end_unix_s: float

    @property
    def length_s(self) -> float:
        """The certificate's lifetime."""
        return self.end_unix_s - self.begin_unix_s


def window(pem: bytes) -> Window | None:
    """Return the validity of the first certificate in a PEM file; None if there is none that makes sense."""
    der = _der(pem)
    try:
        times = _validity(der)
        begin, rest = _time(times)
        end, _ = _time(rest)
    except (IndexError, ValueError):
        return None
    return Window(begin, end) if begin < end else None


def chance(pem: bytes) -> float:
    """Return a number from 0 to less than 1 that is this certificate's own, and the same each time."""
    return int.from_bytes(hashlib.sha256(_der(pem)).digest()[:6]) / (1 << 48)


def _der(pem: bytes) -> bytes:
    found = _PEM.search(pem)
    try:
        return binascii.a2b_base64(found[1]) if found else b""
    except ValueError:
        return b""


def _validity(der: bytes) -> bytes:
    """Return what is in the SEQUENCE of the two times."""
    certificate, _ = _take(der, _SEQUENCE)
    rest, _ = _take(certificate, _SEQUENCE)
    if rest[0] == _VERSION:
        _, rest = _take(rest, _VERSION)
    for tag in (_INTEGER, _SEQUENCE, _SEQUENCE):  # serial number, signature algorithm, issuer
        _, rest = _take(rest, tag)
    return _take(rest, _SEQUENCE)[0]


def _take(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """Return the content of the first element, and what follows it. Raises IndexError, ValueError."""
    if data[0] != tag:
        raise ValueError("another element was expected")
    length, start = data[1], 2
    if length >= _LONG_FORM:
        start += length - _LONG_FORM
        length = int.from_bytes(data[2:start])
    content = data[start : start + length]
    if len(content) != length:
        raise ValueError("cut off")
    return content, data[start + length :]


def _time(data: bytes) -> tuple[float, bytes]:
    """Return the first time, Unix seconds, and what follows it."""
    if data[0] == _UTC_TIME:
        text, rest = _take(data, _UTC_TIME)
        # RFC 5280, 4.1.2.5.1: 50 and more are 19xx
        text = (b"19" if text[:2] >= b"50" else b"20") + text
    else:
        text, rest = _take(data, _GENERALIZED_TIME)
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("no time as RFC 5280 wants it")
    year, month, day, hour, minute, second = map(int, found.groups())
    return float(timegm((year, month, day, hour, minute, second))), rest
