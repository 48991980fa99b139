"""A board whose callbacks cannot crash: one bad frame costs its sensor that frame, and is told.

A driver's callback runs within the board's; an exception there would reach neither the driver's task nor
its bulkhead, would be lost in a log, and would keep the same edge or frame from whoever else listens.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import TypeVar

from gateway.domain.events import AdapterFailed, AdapterRecovered
from gateway.domain.ports import (
    Advert,
    AnalogSpec,
    Board,
    Emit,
    Failure,
    InputSpec,
    OutputLine,
    PollSpec,
    Register,
)

log = logging.getLogger(__name__)

CALM_S = 60.0
"""Without another crash for this long, the part counts as recovered."""

_Heard = TypeVar("_Heard")


class GuardedBoard:
    """The board as one part sees it; implements ports.Board.

    The part goes on listening after a crash: were it started again with a pause, whoever can make it crash
    by radio could make it deaf.

    Args:
        board: Open.
        name: Names the adapter in alarms, e.g. "sensor/cellar".
        emit: Hears of crashes and of recovery.
    """

    def __init__(self, board: Board, name: str, emit: Emit, calm_s: float = CALM_S) -> None:
        self._board = board
        self._name = name
        self._emit = emit
        self._calm_s = calm_s
        self._recovery: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """See ports.Board."""
        await self._board.open()

    async def run(self) -> None:
        """See ports.Board."""
        await self._board.run()

    def watch(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """See ports.Board."""
        return self._board.watch(spec, self._guarded(on_level))

    def output(self, line: str, /) -> OutputLine:
        """See ports.Board."""
        return self._board.output(line)

    def button(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """See ports.Board."""
        return self._board.button(spec, self._guarded(on_level))

    def lamp(self, line: str, /) -> OutputLine:
        """See ports.Board."""
        return self._board.lamp(line)

    def listen(self, address: str, on_advert: Callable[[Advert], None], /) -> AbstractContextManager[None]:
        """See ports.Board."""
        return self._board.listen(address, self._guarded(on_advert))

    def sample(
        self, spec: AnalogSpec, on_sample: Callable[[float | Failure], None], /
    ) -> AbstractContextManager[None]:
        """See ports.Board."""
        return self._board.sample(spec, self._guarded(on_sample))

    def poll(
        self, spec: PollSpec, on_answer: Callable[[Mapping[Register, int] | Failure], None], /
    ) -> AbstractContextManager[None]:
        """See ports.Board."""
        return self._board.poll(spec, self._guarded(on_answer))

    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """See ports.Board."""
        return self._board.parts()

    def _guarded(self, hear: Callable[[_Heard], None]) -> Callable[[_Heard], None]:
        def guarded(heard: _Heard) -> None:
            try:
                hear(heard)
            except Exception as error:
                if self._recovery is None:  # else it is known: a sender may repeat what crashes it
                    log.exception("%s crashed", self._name)
                self._crashed(f"{type(error).__name__}: {error}")

        return guarded

    def _crashed(self, problem: str) -> None:
        if self._recovery is not None:
            self._recovery.cancel()
        self._recovery = asyncio.get_running_loop().call_later(self._calm_s, self._recovered)
        self._emit(AdapterFailed(self._name, problem))

    def _recovered(self) -> None:
        self._recovery = None
        self._emit(AdapterRecovered(self._name))
