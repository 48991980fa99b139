"""An HTTPS server asked with our own certificate: small answers whole, large ones piece by piece."""

import http.client
import ssl
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from gateway.identity.https import Place, Request, bounded, connected, explained, secured_socket

Lend: TypeAlias = Callable[[], AbstractContextManager[ssl.SSLContext]]
"""Lends a context with our key for a handshake. Raises IdentityError."""

_CONNECT_S: Final = 30.0
_PIECE_BYTES: Final = 64 * 1024
_LEAST_BYTES: Final = 1024
"""Less than this in the time that a server may be silent is as good as silence."""
_SUCCESS: Final = 2


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of an answer; names in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_success(self) -> bool:
        """Status 2xx."""
        return self.status // 100 == _SUCCESS


class Web:
    """One server. Blocks; each request is a connection of its own.

    Args:
        url: Checked already: "https://HOST[:PORT][/FOLDER]"; paths of requests are below it.
        lend: Gives our key.
    """

    def __init__(self, url: str, lend: Lend) -> None:
        parts = urlsplit(url)
        self._where = Place(parts.hostname or "", parts.port or http.client.HTTPS_PORT)
        self._folder = parts.path.rstrip("/")
        self._lend = lend

    def ask(self, request: Request, *, timeout_s: float, max_bytes: int) -> tuple[Head, bytes]:
        """Return an answer whole, of whatever status; all of it within `timeout_s`.

        Raises:
            IdentityError: No answer, a broken one, or from somebody else; or our key cannot be used.
        """
        until_s = time.monotonic() + timeout_s
        secured = self._connect(timeout_s)
        with secured, closing(self._client(secured)) as client:
            try:
                with bounded(secured, until_s), closing(self._response(client, request)) as response:
                    data = b"".join(_pieces(response, max_bytes))
            except (OSError, http.client.HTTPException) as error:
                raise explained(error, self._where, timeout_s) from None
            return _head(response), data

    def read(
        self,
        request: Request,
        sink: Callable[[bytes], None],
        *,
        stall_s: float,
        max_bytes: int,
        on_head: Callable[[Head], None] = lambda _: None,
    ) -> Head:
        """Hand the body of a success to `sink`, piece by piece, for as long as some of it comes.

        Args:
            request: What is asked.
            sink: Takes the pieces; what it raises ends the connection and is raised on.
            stall_s: So long may the server be silent.
            max_bytes: A longer answer is broken.
            on_head: Gets status and headers before the first piece; as `sink`.

        Raises:
            IdentityError: As `ask`.
        """
        secured = self._connect(min(stall_s, _CONNECT_S))
        with secured, closing(self._client(secured)) as client:
            with closing(self._begun(client, secured, request, stall_s)) as response:
                head = _head(response)
                on_head(head)
                if head.is_success:
                    for piece in self._paced(response, max_bytes, stall_s):
                        sink(piece)
            return head

    def _connect(self, timeout_s: float) -> ssl.SSLSocket:
        until_s = time.monotonic() + timeout_s
        with self._lend() as context:  # no longer than for the handshake: a TPM has little room
            try:
                secured = secured_socket(connected(self._where, until_s), context, self._where.host)
            except OSError as error:
                raise explained(error, self._where, timeout_s) from None
            try:
                with bounded(secured, until_s):
                    secured.do_handshake()
            except OSError as error:
                secured.close()
                raise explained(error, self._where, timeout_s) from None
        return secured

    def _client(self, secured: ssl.SSLSocket) -> http.client.HTTPConnection:
        client = http.client.HTTPConnection(self._where.host, self._where.port)
        client.sock = secured
        return client

    def _response(self, client: http.client.HTTPConnection, request: Request) -> http.client.HTTPResponse:
        headers = {"Connection": "close", **request.headers}
        client.request(request.method, f"{self._folder}{request.path}", request.body, headers)
        return client.getresponse()

    def _begun(
        self, client: http.client.HTTPConnection, secured: ssl.SSLSocket, request: Request, stall_s: float
    ) -> http.client.HTTPResponse:
        try:
            with bounded(secured, time.monotonic() + stall_s):
                response = self._response(client, request)
            secured.settimeout(stall_s)
        except (OSError, http.client.HTTPException) as error:
            raise explained(error, self._where, stall_s) from None
        return response

    def _paced(
        self, response: http.client.HTTPResponse, max_bytes: int, stall_s: float
    ) -> Generator[bytes, None, None]:
        """Yield the pieces; a server that drips has stalled, too."""
        since_s, come_bytes = time.monotonic(), 0
        try:
            for piece in _pieces(response, max_bytes):
                come_bytes += len(piece)
                if come_bytes >= _LEAST_BYTES:
                    since_s, come_bytes = time.monotonic(), 0
                elif time.monotonic() - since_s > stall_s:
                    raise TimeoutError
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise explained(error, self._where, stall_s) from None


def _pieces(response: http.client.HTTPResponse, max_bytes: int) -> Generator[bytes, None, None]:
    come_bytes = 0
    while piece := response.read1(_PIECE_BYTES):
        come_bytes += len(piece)
        if come_bytes > max_bytes:
            raise http.client.HTTPException(f"its answer is over {max_bytes} bytes")
        yield piece
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


def _head(response: http.client.HTTPResponse) -> Head:
    return Head(response.status, {name.lower(): value for name, value in response.headers.items()})
