"""hawkBit with or without the proxy in front of it.

With it: HTTPS that takes nobody without a certificate of the authority; the device's id is its common name.
Without: HTTP that believes the proxy's headers, as hawkBit's SecurityHeaderAuthenticator does.
"""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from threading import Thread

from tests.fakes.authority import Authority
from tests.fakes.hawkbit.ddi import Ddi
from tests.fakes.hawkbit.repository import Repository

AUTHORITY = "reed"
"""The tenant's setting `authentication.header.authority`."""


@dataclass
class Troubles:
    """What goes wrong with the next requests, one entry for each.

    A number is a status; bytes are a body with status 200; "lost" does the work and gives no answer.
    """

    next: list[int | bytes | str] = field(default_factory=list)

    def take(self) -> int | bytes | str | None:
        return self.next.pop(0) if self.next else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "HawkbitServer"

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        trouble = self.server.troubles.take()
        if isinstance(trouble, int):
            return self._reply(trouble, b"")
        if isinstance(trouble, bytes):
            return self._reply(200, trouble)
        status, told = self.server.ddi.answer(self.command, self.path, body, self._device())
        if trouble == "lost":
            self.close_connection = True
            return None
        return self._reply(status, b"" if told is None else json.dumps(told).encode())

    do_GET = do_POST = do_PUT = _serve  # noqa: N815  # http.server's names

    def _device(self) -> str:
        """Return who asks; "" is nobody."""
        if not isinstance(self.connection, ssl.SSLSocket):
            numbered = [self.headers.get(f"X-Authority-{number}") for number in range(2)]
            authority = self.headers.get("X-Authority") or next(filter(None, numbered), None)
            return self.headers.get("X-Controller-Id", "") if authority == AUTHORITY else ""
        subject = (self.connection.getpeercert() or {}).get("subject", ())
        return next(str(value) for ((name, value),) in subject if name == "commonName")  # type: ignore[misc]

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/hal+json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class HawkbitServer(ThreadingHTTPServer):
    """On a port of its own choice; use `running`.

    Args:
        repository: What it knows.
        authority: Of certificates; without one there is no proxy in front.

    Attributes:
        url: Base address.
        repository: What it knows.
        troubles: What goes wrong next.
    """

    daemon_threads = True

    def __init__(self, repository: Repository, authority: Authority | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"{'https' if authority else 'http'}://localhost:{self.server_port}"
        self.repository = repository
        self.ddi = Ddi(repository, self.url)
        self.troubles = Troubles()
        self._context = _context(authority) if authority else None

    def finish_request(self, request: socket, client_address: object) -> None:  # type: ignore[override]
        # in the request's own thread: one that does not finish its handshake holds up no other
        request.settimeout(10)
        if self._context is None:
            super().finish_request(request, client_address)  # type: ignore[arg-type]
            return
        with suppress(OSError), self._context.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about connections that break."""


def _context(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.home.cert_file("broker"), authority.home.key_file("broker"))
    context.load_verify_locations(authority.home.chain_file)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def running(repository: Repository, authority: Authority | None) -> Iterator[HawkbitServer]:
    """Serve until the end of the block."""
    with HawkbitServer(repository, authority) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
