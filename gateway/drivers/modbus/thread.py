"""A line in a thread of its own: whatever blocks there, the gateway's loop goes on."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any, Protocol, TypeVar

from gateway.domain.ports import Failure
from gateway.drivers.modbus.blocks import Block
from gateway.drivers.modbus.config import Config
from gateway.drivers.modbus.line import Line
from gateway.errors import DriverError

_T = TypeVar("_T")

STUCK_S = 15.0
"""A thread that has not answered by then hangs in the kernel; it is left alone."""


class Requester(Protocol):
    """What reads registers, one request at a time."""

    async def open(self) -> None:
        """Open the port. Raises DriverError."""

    async def settle(self, unit: int, block: Block) -> None:
        """Wait until no answer to an earlier question can be taken for that to this one; `read` does, too."""

    async def read(self, unit: int, block: Block, wait_s: float) -> list[int] | Failure:
        """Return the registers, or why there are none. Raises DriverError: the port has gone away."""

    async def check(self) -> None:
        """Raise DriverError if the port has gone away."""

    def close(self) -> None:
        """Let go of the port, without waiting for it."""

    @property
    def has_ended(self) -> bool:
        """It has let go of the port."""


class LineThread:
    """Implements Requester with a Line in a thread.

    Args:
        config: The port.
        on_lost: Called in the caller's loop when the port has gone away.
    """

    def __init__(self, config: Config, on_lost: Callable[[], None]) -> None:
        caller = asyncio.get_running_loop()

        def told() -> None:
            with suppress(RuntimeError):  # the caller's loop has ended
                caller.call_soon_threadsafe(on_lost)

        self._device = config.device
        self._line = Line(config, told)
        self._loop = asyncio.new_event_loop()
        # a library's error in a callback must not fill the journal: what matters is what is (not) answered
        self._loop.set_exception_handler(lambda _loop, _context: None)
        self._thread = Thread(target=self._serve, name=f"modbus {config.device.name}", daemon=True)
        self._thread.start()

    async def open(self) -> None:
        """See Requester."""
        await self._do(self._line.open())

    async def settle(self, unit: int, block: Block) -> None:
        """See Requester."""
        await self._do(self._line.settle(unit, block))

    async def read(self, unit: int, block: Block, wait_s: float) -> list[int] | Failure:
        """See Requester."""
        return await self._do(self._line.read(unit, block, wait_s))

    async def check(self) -> None:
        """See Requester."""
        await self._do(self._line.check())

    def close(self) -> None:
        """See Requester."""
        with suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._loop.stop)

    @property
    def has_ended(self) -> bool:
        """See Requester."""
        return not self._thread.is_alive()

    # Any: what a coroutine is sent and yields is nobody's concern
    async def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            async with asyncio.timeout(STUCK_S):
                return await asyncio.wrap_future(doing)
        except TimeoutError:
            raise DriverError(f"{self._device}: its driver hangs; unplug the adapter") from None

    async def aclose(self) -> None:
        """Let go of the port and wait until that is done, but not for a driver that hangs."""
        self.close()
        await asyncio.to_thread(self._thread.join, STUCK_S)

    def _serve(self) -> None:
        try:
            self._loop.run_forever()
            self._line.close()
            self._loop.run_until_complete(_end_tasks())
        finally:
            self._loop.close()


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others)
