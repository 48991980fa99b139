"""Other ends of a TLS connection, up to no good: a server that plays a script, a man in the middle."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.fakes.issuer import Issuer

Serve = Callable[[ssl.SSLSocket], None]


@contextmanager
def scripted(issuer: Issuer, serve: Serve) -> Iterator[str]:
    """Do `serve` with each connection, in a thread of its own; enter with the address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issuer.server_file, issuer.server_key_file)

    def handle(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secured:
            serve(secured)

    with listening(handle) as port:
        yield f"https://localhost:{port}"


@contextmanager
def listening(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Do `handle` with each plain connection, which is closed then; enter with the port."""

    def work(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(20)
            handle(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=work, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def head(connection: ssl.SSLSocket) -> bytes:
    """Read a request up to the end of its head."""
    data = b""
    while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
        data += more
    return data


def silence(connection: socket.socket) -> None:
    """Say nothing until the other side has gone."""
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


class Middle:
    """Reads along between a client and the real server, with a certificate of its own.

    Attributes:
        read: Everything that the client sent, decrypted.
    """

    def __init__(self, own: Issuer, host: str, port: int) -> None:
        self._own, self._host, self._port = own, host, port
        self.read = b""

    def serve(self, client: ssl.SSLSocket) -> None:
        believing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        believing.check_hostname, believing.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((self._host, self._port)) as plain,
            believing.wrap_socket(plain) as server,
        ):
            while data := client.recv(65536):
                self.read += data
                server.sendall(data)
                if b"\r\n\r\n" in data:
                    break
            with contextlib.suppress(ssl.SSLEOFError):
                while data := server.recv(65536):
                    client.sendall(data)

    @contextmanager
    def listening(self) -> Iterator[str]:
        with scripted(self._own, self.serve) as url:
            yield url
