"""Bytes to and from the control socket, without a client in between."""

import json
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.fakes.gateway import Served


def raw(at: Path, *frames: bytes, half_close: bool = False) -> list[dict[str, object]]:
    """Send bytes and return every reply until the gateway closes or stops replying."""
    with closing(socket.socket(socket.AF_UNIX)) as connected:
        connected.settimeout(5)
        connected.connect(str(at))
        for frame in frames:
            connected.sendall(frame)
        if half_close:
            connected.shutdown(socket.SHUT_WR)
        received = b""
        while data := connected.recv(65536):
            received += data
        return [json.loads(frame) for frame in received.split(b"\0") if frame]


def call(method: str, **parameters: object) -> bytes:
    return json.dumps({"method": method, "parameters": parameters}).encode() + b"\0"


def until(condition: Callable[[], object], gateway: Served) -> None:
    for _ in range(2000):
        if condition():
            return
        gateway.do(lambda: None)
    raise AssertionError("it never happened")
