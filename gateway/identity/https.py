"""One HTTPS request and its answer, bounded in time and size whatever the other side does."""

import contextlib
import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from gateway.errors import EnrolmentError, UnreachableError

_EST = "/.well-known/est"
_ABOUT_US = (
    "ALERT_CERTIFICATE",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
)
_CONNECTION_SHARE = 0.5
"""Of the time that is left, for each address: a host has several, and the first may be dead."""
_REASON = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the enrolment server is."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as it is written down."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}" + (f":{self.port}" if self.port != http.client.HTTPS_PORT else "")


@dataclass(frozen=True, slots=True)
class Request:
    """What the server is asked."""

    method: str
    path: str
    body: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server at `url` said; `reason` is the code of a refusal, if it gives one."""

    url: str
    status: int
    body: bytes = field(repr=False)
    kind: str = "application/octet-stream"
    retry_after: str = ""
    reason: str = ""


def place(url: str) -> Place:
    """Return where an address leads; one that ends with the path of EST is understood, too.

    Raises:
        EnrolmentError: It is no address of an HTTPS server.
    """
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port or http.client.HTTPS_PORT
        host.encode("idna")
    except ValueError:
        raise EnrolmentError(f"{_shown(url)} is no address; give https://HOST or https://HOST:PORT") from None
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    plain = plain and host.isprintable() and " " not in host
    if parts.scheme != "https" or not host or not plain or parts.path.rstrip("/") not in ("", _EST):
        raise EnrolmentError(f"{_shown(url)} is not allowed; give https://HOST or https://HOST:PORT")
    return Place(host, port)


def _shown(url: str) -> str:
    """Return what can be said of an address: what stands there may be a token, or have a password in it."""
    is_plain = url.strip().lower().startswith(("http://", "https://")) and "@" not in url
    return f"{url[:80]!a}" if is_plain else "what was given as the address"


def exchange(
    where: Place, context: ssl.SSLContext, request: Request, *, timeout_s: float, max_bytes: int
) -> Answer:
    """Ask once on a connection of its own; blocks for `timeout_s` at most, looking up the name aside.

    Raises:
        EnrolmentError: The server does not take our certificate.
        UnreachableError: No answer, a broken or an endless one, or from somebody else.
    """
    until_s = time.monotonic() + timeout_s
    try:
        connection = connected(where, until_s)
        with secured_socket(connection, context, where.host) as secured, bounded(secured, until_s):
            secured.do_handshake()
            return _ask(secured, where, request, max_bytes)
    except (OSError, http.client.HTTPException) as error:
        raise explained(error, where, timeout_s) from None


def connected(where: Place, until_s: float) -> socket.socket:
    """Return a connection to the first address that answers; however many there are, in time."""
    problem: OSError = TimeoutError()
    for family, kind, protocol, _, address in socket.getaddrinfo(
        where.host, where.port, type=socket.SOCK_STREAM
    ):
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            break
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(left_s * _CONNECTION_SHARE)
            made.connect(address)
        except OSError as error:
            made.close()
            problem = error
        else:
            return made
    raise problem


def secured_socket(connection: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Return the connection with TLS around it, before its handshake; on an error it is closed."""
    try:
        # an end without TLS's own would pass for the end of an answer that has no length
        return context.wrap_socket(
            connection, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
    except BaseException:
        connection.close()
        raise


@contextlib.contextmanager
def bounded(secured: ssl.SSLSocket, until_s: float) -> Iterator[None]:
    """End the connection when the time is up: a time-out of the socket begins anew with each byte."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        with contextlib.suppress(OSError):
            # not SSLSocket's own, which takes the TLS object away from the thread that is reading
            socket.socket.shutdown(secured, socket.SHUT_RDWR)

    left_s = max(0.0, until_s - time.monotonic())
    secured.settimeout(left_s or 0.001)
    timer = threading.Timer(left_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (OSError, http.client.HTTPException):
        if late.is_set():
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


def _ask(secured: ssl.SSLSocket, where: Place, request: Request, max_bytes: int) -> Answer:
    client = http.client.HTTPConnection(where.host, where.port)
    client.sock = secured
    client.request(request.method, request.path, request.body, {"Connection": "close", **request.headers})
    with client.getresponse() as response:
        data = response.read(max_bytes + 1)
        left = response.length
    if len(data) > max_bytes:
        raise http.client.HTTPException(f"its answer is over {max_bytes} bytes")
    if left:
        raise http.client.IncompleteRead(data)
    headers = response.headers
    reason = _REASON.fullmatch(headers.get("Reed-Reason", ""))
    return Answer(
        where.url,
        response.status,
        data,
        headers.get_content_type(),
        headers.get("Retry-After", ""),
        reason[0] if reason else "",
    )


def explained(error: Exception, where: Place, timeout_s: float) -> EnrolmentError | UnreachableError:
    """Return an error of a connection in words."""
    reason = (getattr(error, "reason", "") or str(error)) if isinstance(error, ssl.SSLError) else ""
    if any(alert in reason for alert in _ABOUT_US):
        code = _words(reason).removeprefix("alert ").replace(" ", "-")
        return EnrolmentError(f"{where.url} does not take our certificate ({_words(reason)})", reason=code)
    return UnreachableError(f"{where.url} {_trouble(error, where.host, timeout_s)}")


def _trouble(error: Exception, host: str, timeout_s: float) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"is not who it should be: {_verdict(error, host)}"
        case (
            ssl.SSLEOFError() | ConnectionResetError() | BrokenPipeError() | http.client.RemoteDisconnected()
        ):
            return "ended the connection before its answer was whole; check the port, or try again later"
        case ssl.SSLError():
            return (
                f"does not speak TLS as we do ({_words(error.reason or str(error))}); is it the right port?"
            )
        case TimeoutError():
            return f"did not answer within {timeout_s:g} s; try again later"
        case socket.gaierror():
            return f"cannot be found ({error.strerror}); is there a network, and is the name right?"
        case http.client.HTTPException():
            return (
                f"gives a broken answer ({_printable(str(error)) or type(error).__name__}); try again later"
            )
    return f"cannot be reached ({getattr(error, 'strerror', '') or error}); try again later"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:80]


def _verdict(error: ssl.SSLCertVerificationError, host: str) -> str:
    message = error.verify_message
    if "mismatch" in message:
        return f"its certificate is not for the name {host}"
    if "issuer" in message or "self-signed" in message or "self signed" in message:
        return "its certificate is from another authority than ours; somebody may sit in between"
    if "expired" in message or "not yet valid" in message:
        return f"its {message}; check this machine's clock, too"
    return message


def _words(reason: str) -> str:
    return reason.removeprefix("TLSV1_").removeprefix("SSLV3_").replace("_", " ").lower()
