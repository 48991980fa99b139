"""Tells the story line by line: what held, with its measured time, and what did not."""

import io
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from gateway.errors import DemoError, GatewayError

_WIDTH = 74
_GREEN, _RED, _BOLD, _PLAIN = "\x1b[32m", "\x1b[1;31m", "\x1b[1m", "\x1b[0m"


@dataclass(slots=True)
class Step:
    """What is being tried.

    Args:
        took_s: The measured time; None for a step that only looks.
        found: Behind the words of the step, when it is over.
    """

    took_s: float | None = None
    found: str = ""


class Teller:
    """Prints one line for each step, at once.

    Args:
        out: Standard output by default.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        out = out or sys.stdout
        if isinstance(out, io.TextIOWrapper):
            out.reconfigure(errors="replace")  # a terminal without Unicode shows "?", not a traceback
        self._out = out
        self._is_coloured = out.isatty() and "NO_COLOR" not in os.environ
        self._acts = 0
        self.steps = 0
        encoding = (out.encoding or "").lower().replace("-", "")
        self._marks = ("✓", "✗") if encoding == "utf8" else ("ok", "FAILED")

    def act(self, title: str) -> None:
        """Begin a chapter."""
        self._acts += 1
        self._say(f"\n{self._acts}  {self._dye(title, _BOLD)}")

    def note(self, text: str) -> None:
        """Say something that is not a step."""
        self._say(text)

    @contextmanager
    def step(self, what: str, *, timed: bool = True) -> Iterator[Step]:
        """Try something, by default with the time that it takes.

        Raises:
            DemoError: It does not hold; the message begins with the step's name.
        """
        step, began_s = Step(), time.monotonic()
        try:
            yield step
        except (GatewayError, TimeoutError) as error:
            seen, what = str(error) or "no answer in time", what.rstrip(":;")
            self._say(f"   {self._dye(self._marks[1], _RED)} {what}: {seen}")
            raise DemoError(f"step {self.steps + 1}, {what}: {seen}") from None
        if timed and step.took_s is None:
            step.took_s = time.monotonic() - began_s
        self.tick(f"{what} {step.found}".rstrip(), "" if step.took_s is None else span(step.took_s))

    def tick(self, text: str, measured: str = "") -> None:
        """Say that something held."""
        self.steps += 1
        gap = max(2, _WIDTH - len(text) - len(measured))
        mark = self._dye(self._marks[0], _GREEN)
        self._say(f"   {mark} {text}{' ' * gap + measured if measured else ''}")

    def _say(self, line: str) -> None:
        print(line, file=self._out, flush=True)

    def _dye(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_PLAIN}" if self._is_coloured else text


def span(length_s: float) -> str:
    """Return a measured time with three digits that mean something: "0.42 ms", "31.5 ms", "2.07 s"."""
    unit, value = ("s", length_s) if length_s >= 1 else ("ms", length_s * 1e3)
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"  # noqa: PLR2004  # digits
