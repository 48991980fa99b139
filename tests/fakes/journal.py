"""A small journald: reads datagrams of the native protocol as its documentation says, strictly."""

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Line = dict[str, str]

_KEY = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class Journal:
    """Keeps what it is told until `lines` takes it; `address` is where it listens."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)

    def lines(self) -> list[Line]:
        """Return all lines that have come since the last call."""
        found = []
        while True:
            try:
                found.append(_decoded(self._socket.recv(1 << 20)))
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


def _decoded(data: bytes) -> Line:
    line: Line = {}
    while data:
        head, _, rest = data.partition(b"\n")
        key, is_plain, value = head.partition(b"=")
        if not is_plain:
            (size,) = struct.unpack("<Q", rest[:8])
            value, end = rest[8 : 8 + size], rest[8 + size : 9 + size]
            assert end == b"\n", "a value must be followed by a line break"
            rest = rest[9 + size :]
        name = key.decode()
        assert _KEY.fullmatch(name), f"{name!r} is no name of a field"
        line[name] = value.decode()
        data = rest
    return line


@contextmanager
def journal(folder: Path) -> Iterator[Journal]:
    listening = Journal(folder / "journal")
    try:
        yield listening
    finally:
        listening.close()
