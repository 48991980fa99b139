"""What a child process says: each line goes on at once, the last ones are remembered."""

import asyncio
import os
from collections import deque
from collections.abc import Callable

_CHUNK_BYTES = 65_536
_LINE_BYTES = 4096
_REMEMBERED = 20


class Outlet:
    """A pipe from a child. Children of the child may hold its end for longer than the child lives.

    Args:
        on_line: Gets each line, cut at 4096 bytes.
        is_noise: Returns whether a line is neither worth telling nor remembering.

    Attributes:
        writing_end: For the child's stdout and stderr; `hand_over` closes ours.
    """

    def __init__(self, on_line: Callable[[str], None], is_noise: Callable[[str], bool]) -> None:
        self._on_line = on_line
        self._is_noise = is_noise
        self._last: deque[str] = deque(maxlen=_REMEMBERED)
        self._rest = b""
        self._reading_end, self.writing_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._reading_end, False)
        asyncio.get_running_loop().add_reader(self._reading_end, self._read)

    def hand_over(self) -> None:
        """The child has its copy of the writing end."""
        os.close(self.writing_end)
        self.writing_end = -1

    def last_words(self) -> str:
        """Return the last line that it said, or ""."""
        return self._last[-1] if self._last else ""

    def close(self) -> None:
        """Read what is still there and give the pipe back."""
        if self._reading_end < 0:
            return
        self._read()
        if self._rest:
            self._say(self._rest)
        self._drop()
        if self.writing_end >= 0:
            self.hand_over()

    def _read(self) -> None:
        while self._reading_end >= 0:
            try:
                chunk = os.read(self._reading_end, _CHUNK_BYTES)
            except BlockingIOError:
                return
            except OSError:
                chunk = b""
            if not chunk:
                self._stop_listening()
                return
            self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._say(line)
        if len(self._rest) > _LINE_BYTES:
            self._say(self._rest)
            self._rest = b""

    def _say(self, line: bytes) -> None:
        text = line[:_LINE_BYTES].decode(errors="replace").strip()
        if text and not self._is_noise(text):
            self._last.append(text)
            self._on_line(text)

    def _stop_listening(self) -> None:
        asyncio.get_running_loop().remove_reader(self._reading_end)

    def _drop(self) -> None:
        self._stop_listening()
        os.close(self._reading_end)
        self._reading_end = -1
