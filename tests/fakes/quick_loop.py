"""An event loop whose time jumps to the next timer whenever nothing is ready: hours pass in milliseconds.

Only for what has both ends in this loop; threads and other processes would find no time to answer.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


class _Selector(selectors.DefaultSelector):
    """Waits by moving the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if ready := super().select(0):
            return ready
        if timeout is None:
            raise AssertionError("everybody waits for nothing")
        self.now_s += timeout
        return []


class QuickLoop(asyncio.SelectorEventLoop):
    """Its `time` is not the world's."""

    def __init__(self) -> None:
        self._quick = _Selector()
        super().__init__(self._quick)

    def time(self) -> float:
        return self._quick.now_s


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run it in such a loop."""
    with asyncio.Runner(loop_factory=QuickLoop) as runner:
        return runner.run(work)
