"""Try a certificate on a listener: is it let in or refused as revoked?

With TLS 1.2, whose handshake ends only after the server has judged the client's certificate; with 1.3 the
client would have to wait and see. No MQTT is spoken.
"""

import enum
import socket
import ssl
import time
from pathlib import Path

from cloud.errors import BrokerError

_REVOKED = "SSLV3_ALERT_CERTIFICATE_REVOKED"
_ONCE_MORE_S = 0.05


class Verdict(enum.Enum):
    """What the listener thinks of a certificate."""

    ACCEPTED = enum.auto()
    REVOKED = enum.auto()


def judge(address: tuple[str, int], cert_file: Path, key_file: Path, timeout_s: float) -> Verdict:
    """Shake hands with this certificate and return the verdict.

    Raises:
        BrokerError: Nobody answers in time, or it is refused for another reason; which one.
    """
    context = _context(cert_file, key_file)
    deadline_s = time.monotonic() + timeout_s
    while True:
        left_s = deadline_s - time.monotonic()
        try:
            return _shake_hands(address, context, max(left_s, 0.1))
        except (ConnectionError, ssl.SSLEOFError) as error:  # the alert may be lost when the server hangs up
            if left_s <= _ONCE_MORE_S:
                raise BrokerError(
                    f"{_text(address)} does not say what it thinks of {cert_file}: {error}"
                ) from error
            time.sleep(_ONCE_MORE_S)
        except OSError as error:
            raise BrokerError(f"{_text(address)} refuses {cert_file}: {_reason(error)}") from error


def is_open(address: tuple[str, int], timeout_s: float) -> bool:
    """Tell whether anybody listens there."""
    try:
        socket.create_connection(address, timeout_s).close()
    except OSError:
        return False
    return True


def _shake_hands(address: tuple[str, int], context: ssl.SSLContext, timeout_s: float) -> Verdict:
    with socket.create_connection(address, timeout_s) as plain:
        try:
            context.wrap_socket(plain).close()
        except ssl.SSLError as error:
            if error.reason == _REVOKED:
                return Verdict.REVOKED
            raise
    return Verdict.ACCEPTED


def _context(cert_file: Path, key_file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = (
        False  # whoever it is, it learns nothing: only its verdict on a certificate is asked
    )
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert_file, key_file)
    except OSError as error:
        raise BrokerError(f"{cert_file} cannot be used to try the CRL: {error}") from error
    return context


def _reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error)


def _text(address: tuple[str, int]) -> str:
    return f"the broker at {address[0]}:{address[1]}"
