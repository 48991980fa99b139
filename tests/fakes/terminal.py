"""A pseudo-terminal with a command in it."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence

PATIENCE_S = 20.0


class Terminal:
    """Runs `reed-gateway` with these arguments at a keyboard and a screen."""

    def __init__(self, arguments: Sequence[str], **environment: str) -> None:
        self._master, slave = pty.openpty()
        self.resize(24, 80)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", **environment},
        )
        self.slave = slave
        self.shown = ""

    def resize(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def until(self, pattern: str) -> None:
        """Wait until the pattern is drawn anew."""
        self.shown = ""
        self.until_true(lambda: re.search(pattern, self.shown), pattern)

    def until_true(self, condition: Callable[[], object], what: str = "") -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end_s, f"never: {what}; shown: {self.shown[-2000:]}"
            if select.select([self._master], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.shown += os.read(self._master, 65536).decode(errors="replace")

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self.slave)
