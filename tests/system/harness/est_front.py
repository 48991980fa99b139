"""Stands where nginx stands, for libest's client: it reads no answers but those of HTTP/1.0.

It ends TLS, says who the client is as nginx does, and answers with HTTP/1.0 in one piece.
"""

import contextlib
import http.client
import http.server
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from cloud.home import Home


class _Upstream(http.client.HTTPConnection):
    """A connection to the application's socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    wbufsize = 65_536  # header and body in one TLS record: libest reads once
    home: Home

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        wanted = ("content-type", "authorization")
        headers = {name: value for name, value in self.headers.items() if name.lower() in wanted}
        with contextlib.closing(_Upstream(self.home.web_socket)) as upstream:
            upstream.request(self.command, self.path, body, {**headers, **self._client()})
            answer = upstream.getresponse()
            data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def _client(self) -> dict[str, str]:
        assert isinstance(self.connection, ssl.SSLSocket)
        der = self.connection.getpeercert(binary_form=True)
        said = {"X-Reed-Peer": self.client_address[0], "X-Reed-Client-Verify": "SUCCESS" if der else "NONE"}
        if der:
            said["X-Reed-Client-Cert"] = urllib.parse.quote(ssl.DER_cert_to_PEM_cert(der))
        return said

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def est_front(home: Home) -> Iterator[int]:
    """Serve on a loopback port, which is returned."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home.cert_file("web"), home.key_file("web"))
    context.load_verify_locations(home.chain_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    handler = type("Handler", (_Handler,), {"home": home})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
