"""Commands in the gateway, by the listener of the test's rig."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.ota.harness.machine import connected

_COMMAND_S = 120.0


class Gone(Exception):  # noqa: N818  # it went, which is no error in itself
    """The machine lost its power, was reset, or does not answer."""


class CommandError(Exception):
    """A command failed; the message has all it said."""


class Remote:
    """One connection to the listener; several commands may run at a time.

    Args:
        path: Of the port's socket.
        runs: Whether there is a machine at all.
    """

    def __init__(self, path: Path, runs: Callable[[], bool]) -> None:
        self._runs = runs
        self._connection = connected(path, runs)
        self._answers: dict[int, dict[str, Any]] = {}
        self._news = threading.Condition()
        self._last_id = 0
        self._open = True
        threading.Thread(target=self._read, daemon=True).start()

    def wait(self, timeout_s: float) -> None:
        """Return when the listener answers. Raises Gone."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            number = self._send("true", "")
            if self._receive(number, 2.0) is not None:
                return
        raise Gone(f"the gateway did not let us in within {timeout_s:.0f} s")

    def run(self, command: str, *, check: bool = True, timeout_s: float = _COMMAND_S, given: str = "") -> str:
        """Run a command line of sh; return what it wrote to its output.

        Raises:
            CommandError: It failed (unless `check` is off).
            Gone: No answer came.
        """
        answer = self._receive(self._send(command, given), timeout_s)
        if answer is None:
            raise Gone(f"{command}\nno answer within {timeout_s} s")
        if check and answer["rc"]:
            raise CommandError(f"{command}\nended with {answer['rc']}\n{answer['out']}{answer['err']}")
        output: str = answer["out"]
        return output

    def begin(self, command: str) -> None:
        """Start a command and do not wait for it."""
        self._send(command, "")

    def close(self) -> None:
        """Hang up."""
        self._open = False
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _send(self, command: str, given: str) -> int:
        with self._news:
            self._last_id += 1
            request = {"id": self._last_id, "sh": command, "given": given}
            try:
                self._connection.sendall(json.dumps(request).encode() + b"\n")
            except OSError as error:
                raise Gone(f"{command}\n{error}") from error
            return self._last_id

    def _receive(self, number: int, timeout_s: float) -> dict[str, Any] | None:
        with self._news:
            self._news.wait_for(lambda: number in self._answers or not self._open, timeout_s)
            if number in self._answers:
                return self._answers.pop(number)
            if not self._open:
                raise Gone("the machine has no power, or was reset")
            return None

    def _read(self) -> None:
        waiting = b""
        while True:
            try:
                data = self._connection.recv(65536)
            except OSError:
                data = b""
            with self._news:
                if not data:
                    self._open = False
                    self._news.notify_all()
                    return
                *lines, waiting = (waiting + data).split(b"\n")
                for line in filter(None, lines):
                    answer = json.loads(line)
                    self._answers[answer["id"]] = answer
                self._news.notify_all()
