"""What happens beside the work: time passes, leases end, people and sources change their minds."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from gateway.domain.update.model import Cancelled, Judged, State, Step, Ticked, Update
from gateway.errors import StoreError
from gateway.update.hands import Events
from gateway.update.lease import Leases
from gateway.update.mailbox import Mailbox
from gateway.update.orders import Orders
from gateway.update.parts import Timing

_ASKED_HERE = "asked for at this machine"


class Watch:
    """Watches while an update is under way.

    Args:
        present: Returns the update that is under way, if any.
        mailbox: What people here ask.
        orders: What sources ask.
        leases: Who is asked while a download runs.
        events: Takes what happens.
    """

    def __init__(
        self,
        present: Callable[[], Update | None],
        mailbox: Mailbox,
        orders: Orders,
        leases: Leases,
        events: Events,
    ) -> None:
        self._present = present
        self._mailbox = mailbox
        self._orders = orders
        self._leases = leases
        self._events = events

    async def tick(self, timing: Timing) -> None:
        """Tell that time passes, and what people here ask. For ever."""
        while True:
            await asyncio.sleep(timing.tick_s)
            if (update := self._present()) is None:
                continue
            if self._mailbox.take_named("cancel", update.order.id):
                self._events.put_nowait(Cancelled(_ASKED_HERE))
            if self._mailbox.take_named("undo", update.order.id):
                self._events.put_nowait(Judged(healthy=False, missed=(_ASKED_HERE,)))
            self._events.put_nowait(Ticked())

    async def look(self, timing: Timing) -> None:
        """Ask the sources. For ever."""
        while True:
            await asyncio.sleep(timing.look_s)
            if (update := self._present()) is None:
                continue
            if await self._orders.is_cancelled(update.order):
                self._events.put_nowait(Cancelled(f"asked for by {update.order.source}"))
            with suppress(StoreError):  # they ask again
                await self._orders.refuse_others(update.order)

    async def renew(self, timing: Timing) -> None:
        """Ask for the lease of a download again and again. For ever."""
        while True:
            await asyncio.sleep(timing.renew_s)
            update = self._present()
            if update is not None and update.state is State.DOWNLOADING:
                self._events.put_nowait(await self._leases.ask(update.order, Step.DOWNLOAD))
