"""Every write of a line's level as the kernel module notes it: with its time, none too short to be seen."""

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TRACING = Path("/sys/kernel/tracing")
_WRITE = re.compile(r"\s(\d+\.\d+): pi_assign: reed_line (\d+) (in|out) ([01])")
_LOST = re.compile(r"LOST (\d+) EVENTS")
_BUFFER_KB = 8192


@dataclass(frozen=True, slots=True)
class Write:
    """One write: at CLOCK_MONOTONIC `at_s` the line got this level."""

    at_s: float
    line: int
    direction: str
    """"out": a program drives it; "in": the world outside or a pull does."""
    level: int


class Record:
    """Follows the kernel's trace of all lines; whoever listens hears each write soon after."""

    def __init__(self) -> None:
        self._writes: list[Write] = []
        self._lost = 0
        self._rest = ""
        self._listeners: list[Callable[[Write], None]] = []
        self._changed = asyncio.Event()
        (_TRACING / "trace_clock").write_text("mono")
        (_TRACING / "buffer_size_kb").write_text(str(_BUFFER_KB))
        (_TRACING / "tracing_on").write_text("1")
        (_TRACING / "trace").write_text("")
        self._pipe = os.open(_TRACING / "trace_pipe", os.O_RDONLY | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(self._pipe, self._read)

    def listen(self, listener: Callable[[Write], None]) -> None:
        """Call the listener with each write from now on."""
        self._listeners.append(listener)

    def writes(self, since_s: float = 0.0, line: int | None = None) -> list[tuple[float, int, str, int]]:
        """Return (at_s, line, direction, level) of each write since then, in order of time.

        Raises:
            RuntimeError: The kernel had to drop some; then nothing can be said.
        """
        self._read()
        if self._lost:
            raise RuntimeError(f"{self._lost} writes were lost; this record proves nothing")
        chosen = [w for w in self._writes if w.at_s >= since_s and line in (None, w.line)]
        return [(w.at_s, w.line, w.direction, w.level) for w in sorted(chosen, key=lambda w: w.at_s)]

    async def wait(self, line: int, level: int, since_s: float, timeout_s: float) -> float:
        """Return when the line first got this level since then, or wait for it. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while True:
                self._changed.clear()
                for at_s, _, _, written in self.writes(since_s, line):
                    if written == level:
                        return at_s
                await self._changed.wait()

    def forget(self) -> None:
        """Start an empty record."""
        self._read()
        self._writes.clear()
        self._lost = 0

    def close(self) -> None:
        """Stop following."""
        asyncio.get_running_loop().remove_reader(self._pipe)
        os.close(self._pipe)

    def _read(self) -> None:
        while True:
            try:
                part = os.read(self._pipe, 1 << 16)
            except BlockingIOError:
                return
            if not part:
                return
            *whole, self._rest = (self._rest + part.decode()).split("\n")
            for line in whole:
                self._take(line)

    def _take(self, line: str) -> None:
        if lost := _LOST.search(line):
            self._lost += int(lost[1])
        if not (found := _WRITE.search(line)):
            return
        write = Write(float(found[1]), int(found[2]), found[3], int(found[4]))
        self._writes.append(write)
        self._changed.set()
        for listener in self._listeners:
            listener(write)
