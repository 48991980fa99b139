"""Single keys from a terminal, which is put back as it was whatever happens."""

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from types import FrameType

_ESCAPE = "\x1b"


class Keyboard:
    """Keys as they are pressed; also wakes up when the window changes its size."""

    def __init__(self, descriptor: int, wake: int) -> None:
        self._descriptor = descriptor
        self._wake = wake

    def wait(self, timeout_s: float, also: int | None = None) -> list[str]:
        """Wait for keys, a new window size, `also` to become readable, or the time; return the keys."""
        watched = [self._descriptor, self._wake] + ([also] if also is not None else [])
        ready = select.select(watched, [], [], timeout_s)[0]
        if self._wake in ready:
            os.read(self._wake, 1024)
        if self._descriptor not in ready:
            return []
        typed = os.read(self._descriptor, 1024).decode(errors="replace")
        if not typed:
            raise KeyboardInterrupt  # the terminal is gone
        # Arrow keys and the like come as one read that begins with ESC; none of them means anything here.
        return [_ESCAPE] if typed.startswith(_ESCAPE) else list(typed)


@contextlib.contextmanager
def keyboard() -> Iterator[Keyboard]:
    """Take single keys from standard input, which must be a terminal."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)

    def resized(_signal: int, _frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(wake_write, b"r")

    previous = signal.signal(signal.SIGWINCH, resized)
    try:
        tty.setcbreak(descriptor)
        yield Keyboard(descriptor, wake_read)
    finally:
        signal.signal(signal.SIGWINCH, previous)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        os.close(wake_read)
        os.close(wake_write)
