"""The other end of the guest's vcmailbox: words for the firmware, and words back."""

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from tests.ota.harness.machine import connected

Ask = Callable[[int, int], list[int]]


class Mailbox:
    """Answers until the machine behind the port is gone.

    Args:
        path: Of the port's socket.
        runs: Whether there is a machine at all.
        ask: The firmware: tag and value to the words that it prints.
    """

    def __init__(self, path: Path, runs: Callable[[], bool], ask: Ask) -> None:
        self._ask = ask
        self._connection = connected(path, runs)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(10.0)
        self._connection.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError), self._connection.makefile("rwb") as stream:
            while line := stream.readline():
                stream.write(self._answer(line.decode()).encode() + b"\n")
                stream.flush()

    def _answer(self, line: str) -> str:
        try:
            tag, _size, _request, *values = (int(word, 0) for word in line.split())
        except ValueError:
            return "error: not understood"
        return " ".join(f"0x{word:08x}" for word in self._ask(tag, values[0] if values else 0))
