"""A quick loop that waits for threads: time stands still while one of them works."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.fakes.quick_loop import QuickLoop

_Result = TypeVar("_Result")
_REAL_S = 0.05


class PatientLoop(QuickLoop):
    """For what asks a real server through `asyncio.to_thread`."""

    def __init__(self) -> None:
        super().__init__()
        self._working = 0
        jump, wait = self._quick.select, super(type(self._quick), self._quick).select

        def select(timeout: float | None = None) -> list[Any]:
            if self._working or timeout is None:
                return wait(_REAL_S if timeout is None else min(timeout, _REAL_S))
            return jump(timeout)

        self._quick.select = select  # type: ignore[method-assign]

    def run_in_executor(  # type: ignore[override]
        self,
        executor: Any,  # noqa: ANN401  # as asyncio has it
        func: Callable[..., _Result],
        *args: Any,  # noqa: ANN401
    ) -> "asyncio.Future[_Result]":
        future = super().run_in_executor(executor, func, *args)
        self._working += 1
        future.add_done_callback(self._done)
        return future

    def _done(self, _: "asyncio.Future[Any]") -> None:
        self._working -= 1


def run(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run it in such a loop."""
    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        return runner.run(work)
