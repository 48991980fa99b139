"""The status light and the sounder: plays rhythms on two output lines.

A steady pattern sets its line once and wakes nobody up. The rhythms stand in gateway/domain/indicator.py.
While the gateway does not run the light is off, which no pattern is.
"""

import logging
from asyncio import Future, TimerHandle, get_running_loop
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle

from gateway.domain.commands import Indicate
from gateway.domain.indicator import RHYTHMS, SOUNDS, Rhythm
from gateway.domain.model import LedPattern, SounderPattern
from gateway.domain.ports import OutputLine
from gateway.errors import DriverError

log = logging.getLogger(__name__)


class Indicator:
    """Shows the latest `Indicate`; either line may be None where the site has none."""

    def __init__(self, led: OutputLine | None, sounder: OutputLine | None) -> None:
        self._led = _Player(led, self._fail)
        self._sounder = _Player(sounder, self._fail)
        self._shown = Indicate(LedPattern.AUTO, SounderPattern.SILENT)
        self._failure: Future[None] | None = None

    def show(self, indicate: Indicate) -> None:
        """Show this from now on, at once. Never raises: a broken lamp must not hinder a valve."""
        self._shown = indicate
        if self._failure is not None and not self._failure.done():
            self._play()

    async def run(self) -> None:
        """Play until cancelled; then both lines are off.

        Raises:
            DriverError: A line could not be driven; run again later.
        """
        self._failure = get_running_loop().create_future()
        try:
            self._play()
            await self._failure
        finally:
            self._failure = None
            self._led.stop()
            self._sounder.stop()

    def _play(self) -> None:
        self._led.play(RHYTHMS[self._shown.led])
        self._sounder.play(SOUNDS[self._shown.sounder])

    def _fail(self, error: DriverError) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)


class _Player:
    """Plays one rhythm at a time on one line."""

    def __init__(self, line: OutputLine | None, on_failure: Callable[[DriverError], None]) -> None:
        self._line = line
        self._on_failure = on_failure
        self._playing = False
        self._rhythm: Rhythm | None = None
        self._timer: TimerHandle | None = None

    def play(self, rhythm: Rhythm | None) -> None:
        """Change to the rhythm; the one that plays already is not begun anew. None is off."""
        if self._line is None or (self._playing and rhythm == self._rhythm):
            return
        self._halt()
        self._playing, self._rhythm = True, rhythm
        if rhythm:
            self._step(cycle(zip(cycle((True, False)), rhythm)))
        else:
            self._set(rhythm is not None)

    def stop(self) -> None:
        """Stop playing, with the line off if it can still be driven."""
        self._halt()
        if self._line is not None:
            with suppress(Exception):  # why it cannot be driven has been told
                self._line.set(False)

    def _halt(self) -> None:
        self._playing = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step(self, steps: Iterator[tuple[bool, float]]) -> None:
        level, duration_s = next(steps)
        self._set(level)
        if self._playing:
            self._timer = get_running_loop().call_later(duration_s, self._step, steps)

    def _set(self, level: bool) -> None:
        if self._line is None:
            return
        try:
            self._line.set(level)
        except DriverError as error:
            self._halt()
            self._on_failure(error)
        except Exception as error:
            # a bug in a lamp's driver must not reach the call that has just closed a valve
            log.exception("light or sounder crashed")
            self._halt()
            self._on_failure(DriverError(f"{type(error).__name__}: {error}"))
