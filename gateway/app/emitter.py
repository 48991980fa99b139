"""The path from an event to the valve: decide and execute, in one call, with no queue and no await.

`emit` runs in the loop's thread. Whatever executing a command causes in turn (a line that fails, a simulated
world that answers at once) waits until the present event is done, so the core is never entered twice.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from gateway.domain.commands import Command
from gateway.domain.events import DeadlinePassed, Event

_SOONEST_S = 0.001
"""A deadline in the past is served after this, so that a wrong one cannot starve the loop."""


class Decides(Protocol):
    """What the emitter needs of the core."""

    def handle(self, event: Event, now_s: float, /) -> Iterable[Command]:
        """Return what to do about an event."""

    def next_deadline_s(self) -> float | None:
        """Return when DeadlinePassed is wanted."""


class Emitter:
    """Feeds the core and serves its deadlines.

    Args:
        core: Decides.
        execute: Executes commands in their order.
        on_failure: Called when core or execution raised: the process cannot go on protecting.
    """

    def __init__(
        self,
        core: Decides,
        execute: Callable[[Iterable[Command]], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._core = core
        self._execute = execute
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Event] = deque()
        self._busy = True
        self._stopped = False
        self._timer: asyncio.TimerHandle | None = None

    def emit(self, event: Event) -> None:
        """Handle an event now; its commands are executed on return. Before `begin` it waits."""
        if self._stopped:
            return
        if self._busy:
            self._waiting.append(event)
            return
        self._guarded(lambda: self._handle(event))

    def begin(self, start: Callable[[], Sequence[Command]]) -> None:
        """Start the core and execute what it wants, then handle early events; then serve deadlines."""
        self._guarded(lambda: self._execute(start()))

    def emit_soon(self, event: Event) -> None:
        """Handle an event after the present one, from within the execution of its commands."""
        self._loop.call_soon(self.emit, event)

    def overdue_s(self) -> float:
        """Return by how much the core's next deadline has passed; 0 if it is on time."""
        due_s = self._core.next_deadline_s()
        return 0.0 if due_s is None else max(0.0, self._loop.time() - due_s)

    def stop(self) -> None:
        """Handle nothing any more."""
        self._stopped = True
        self._disarm()

    def _guarded(self, work: Callable[[], None]) -> None:
        self._busy = True
        try:
            work()
            while self._waiting:
                self._handle(self._waiting.popleft())
        except Exception as error:
            # not swallowed: a core that failed once cannot be believed, so the process ends
            self.stop()
            self._on_failure(error)
            raise
        finally:
            self._busy = False
        self._arm()

    def _handle(self, event: Event) -> None:
        self._execute(self._core.handle(event, self._loop.time()))

    def _arm(self) -> None:
        due_s = self._core.next_deadline_s()
        if due_s is None:
            self._disarm()
            return
        if self._timer is not None and self._timer.when() <= due_s:
            return  # fires early and looks again: cheaper than a new timer for every event
        self._disarm()
        self._timer = self._loop.call_at(max(due_s, self._loop.time() + _SOONEST_S), self._on_time)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_time(self) -> None:
        self._timer = None
        due_s = self._core.next_deadline_s()
        if due_s is not None and due_s <= self._loop.time():
            self.emit(DeadlinePassed())
        else:
            self._arm()
