"""Which answers of a broker are about who we are, and which are about anything else. Pure.

A broker that is down, busy, restarting or wrong about everything has not turned us away: such attempts go on
at the usual pace, and no new certificate is given up for them.
"""

import ssl
from typing import Final

_ALERTS: Final = {
    "CERTIFICATE_REVOKED": "it says that our certificate is revoked",
    "CERTIFICATE_EXPIRED": "it says that our certificate has expired",
    "UNKNOWN_CA": "it does not know who issued our certificate",
    "BAD_CERTIFICATE": "it says that our certificate is not in order",
    "CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "UNSUPPORTED_CERTIFICATE": "our certificate is of a kind that it does not take",
    "ACCESS_DENIED": "our certificate is in order, but we may not connect",
}
"""TLS alerts about a client's certificate (RFC 8446, 6.2), as ends of ssl.SSLError.reason."""

_EXPIRED: Final = "CERTIFICATE_EXPIRED"

_NOT_ALLOWED: Final = frozenset({0x86, 0x87, 0x8A})
"""MQTT 5: bad user name or password, not authorized, banned; in CONNACK, SUBACK, PUBACK and DISCONNECT."""

_PASSING: Final = frozenset({0x80, 0x83, 0x88, 0x89, 0x97, 0x9F})
"""CONNACK: unspecified, implementation specific, unavailable, busy, quota exceeded, rate exceeded."""

_MESSAGE_REFUSED: Final = frozenset({0x90, 0x95, 0x99})
"""Topic name invalid, packet too large, payload format invalid: about this message, not about us."""
_NO_SUBSCRIBERS: Final = 0x10

_OTHERS: Final = (ssl.SSLCertVerificationError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


def by_alert(error: BaseException | None) -> tuple[str, bool]:
    """Return why the broker's TLS turned us away, and whether it says that our certificate has ended.

    ("", False) if the error is not about us.
    """
    if not isinstance(error, ssl.SSLError) or not error.reason:
        return "", False
    alert = error.reason.partition("_ALERT_")[2]
    return _ALERTS.get(alert, ""), alert == _EXPIRED


def by_code(code: int) -> bool:
    """Whether an MQTT reason code says that we are not allowed to."""
    return code in _NOT_ALLOWED


def may_pass(code: int) -> bool:
    """Whether a CONNACK with this code may be another one in a moment."""
    return code in _PASSING


def about_message(code: int) -> bool:
    """Whether a PUBACK refuses this one message, rather than us or everything."""
    return code in _MESSAGE_REFUSED


def was_heard(code: int) -> bool:
    """Whether the broker had a subscriber to pass the message on to (not every broker tells)."""
    return code != _NO_SUBSCRIBERS


def is_our_key(error: BaseException | None) -> bool:
    """Whether a handshake failed because our key did not sign, or signed badly.

    A provider of OpenSSL that fails leaves no reason behind, only "EVP lib"; everything that the other side
    does wrong has one, and so has a broker's verdict on a signature (decrypt_error).
    """
    if not isinstance(error, ssl.SSLError) or isinstance(error, _OTHERS):
        return False
    return not error.reason or error.reason == "EVP_LIB" or error.reason.endswith("_ALERT_DECRYPT_ERROR")
