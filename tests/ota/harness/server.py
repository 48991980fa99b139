"""The update server: a folder over HTTPS with mutual TLS and ranges. It counts what it hands out."""

import re
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from gateway.cli.demo.devca import DevCa

_PIECE_BYTES = 65536
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Server:
    """Runs within `with`.

    Args:
        folder: What it serves.
        ca: The server's certificate, and whose clients are let in.

    Attributes:
        sent: Bytes of bodies by path, since `forget`.
        pace: Called before each piece; may sleep, to have a download last.
    """

    def __init__(self, folder: Path, ca: DevCa) -> None:
        self.folder = folder
        self.sent: dict[str, int] = {}
        self.pace: Callable[[], None] = lambda: None
        self.up = True
        self._lock = threading.Lock()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ca.cert_file("broker"), ca.key_file("broker"))
        context.load_verify_locations(ca.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"server_of": self}))
        self._http.daemon_threads = True
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients vanish with their power
        self._http.socket = context.wrap_socket(
            self._http.socket, server_side=True, do_handshake_on_connect=False
        )

    @property
    def port(self) -> int:
        """On loopback."""
        return int(self._http.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def forget(self) -> None:
        """Count from nothing."""
        with self._lock:
            self.sent.clear()

    def count(self, path: str, sent_bytes: int) -> None:
        """Take down what was handed out."""
        with self._lock:
            self.sent[path] = self.sent.get(path, 0) + sent_bytes

    def of_targets(self) -> int:
        """Return the bytes handed out below targets/."""
        with self._lock:
            return sum(sent for path, sent in self.sent.items() if "/targets/" in path)


def slow(s_per_mib: float) -> Callable[[], None]:
    """Return a pace."""
    return lambda: time.sleep(s_per_mib * _PIECE_BYTES / (1 << 20))


class _Handler(BaseHTTPRequestHandler):
    server_of: Server
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:  # a name of http.server
        ours = self.server_of
        file = (ours.folder / self.path.split("?")[0].lstrip("/")).resolve()
        if not ours.up:
            self.send_error(503)
        elif not file.is_relative_to(ours.folder.resolve()) or not file.is_file():
            self.send_error(404)
        else:
            self._send(file)

    def _send(self, file: Path) -> None:
        size_bytes = file.stat().st_size
        start, end = 0, size_bytes
        if asked := _RANGE.fullmatch(self.headers.get("Range", "")):
            start, end = int(asked[1]), min(int(asked[2] or size_bytes) + 1, size_bytes)
            self.send_response(206 if start < size_bytes else 416)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size_bytes}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(max(0, end - start)))
        self.end_headers()
        with file.open("rb") as data:
            data.seek(start)
            while start < end:
                self.server_of.pace()
                piece = data.read(min(_PIECE_BYTES, end - start))
                self.wfile.write(piece)
                self.server_of.count(self.path, len(piece))
                start += len(piece)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
