"""A web server of files over TLS that wants to see a certificate, and knows ranges."""

import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.fakes.issuer import Issuer


class Files(ThreadingHTTPServer):
    """`who` holds the common name that each request came with, `asked` its path."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.who: list[str] = []
        self.asked: list[str] = []
        self.url = f"https://localhost:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """A client that leaves is no trouble."""


class _Handler(BaseHTTPRequestHandler):
    server: Files

    def do_GET(self) -> None:
        names = dict(entry[0] for entry in self.connection.getpeercert()["subject"])  # type: ignore[attr-defined]
        self.server.who.append(names["commonName"])
        self.server.asked.append(self.path)
        file = self.server.folder / self.path.lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return
        data = file.read_bytes()
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(found[1]) if found else 0
        self.send_response(206 if found else 200)
        if found:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        self.wfile.write(data[begin:])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(folder: Path, issuer: Issuer) -> Iterator[Files]:
    """Serve a folder to whoever has a certificate of this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issuer.server_file, issuer.server_key_file)
    context.load_verify_locations(issuer.root_file)
    context.verify_mode = ssl.CERT_REQUIRED
    with Files(folder) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(5)
