"""The server's maintenance window speaks along when the core is asked for a lease."""

import asyncio
from collections.abc import Callable, Mapping

from gateway.domain.model import Json
from gateway.domain.update.model import State, Step, Update
from gateway.errors import UpdateError
from gateway.update.hawkbit.source import Hawkbit
from gateway.update.ports import Guard, Lease


class WindowGuard:
    """A Guard that also asks hawkBit, for its own orders and for what disturbs (not for downloads).

    Args:
        guard: The running daemon.
        source: hawkBit.
        current: Return the update that is under way.
        patience_s: hawkBit has to answer within this time; the core's patience is longer.
    """

    def __init__(
        self, guard: Guard, source: Hawkbit, current: Callable[[], Update | None], *, patience_s: float = 8.0
    ) -> None:
        self._guard = guard
        self._source = source
        self._current = current
        self._patience_s = patience_s

    async def view(self) -> Mapping[str, Json]:
        """Return what the daemon shows."""
        return await self._guard.view()

    async def lease(self, step: Step) -> Lease:
        """Ask hawkBit, then the daemon: its lease expires, so it comes last."""
        reason = await self._objection() if step is not Step.DOWNLOAD else ""
        return Lease(granted=False, reasons=(reason,)) if reason else await self._guard.lease(step)

    async def report(self, update: Update) -> None:
        """Have people and the cloud told."""
        await self._guard.report(update)

    async def _objection(self) -> str:
        update = self._current()
        if update is None or update.order.source != self._source.name:
            return ""
        if update.state is State.ROLLING_BACK:
            return ""  # no window keeps anybody in a system that failed its trial
        try:
            async with asyncio.timeout(self._patience_s):
                return await self._source.held(update.order.id)
        except UpdateError as error:
            return str(error)
        except TimeoutError:
            return "hawkBit does not say whether its maintenance window is open"
