"""The runner: takes an order from one of the sources and works on it until it is over, come what may.

One process at a time. Whatever the machine decides is on disk before anything is done about it; a disk that
does not take it holds the update up. So it may be killed at any moment, and the next one goes on.
"""

import asyncio
import logging
from collections.abc import Sequence

from gateway.domain.update.machine import step
from gateway.domain.update.model import (
    AskLease,
    Leased,
    Offered,
    Progressed,
    Reboot,
    Report,
    State,
    Ticked,
    Update,
    UpdateCommand,
    UpdateEvent,
)
from gateway.errors import StoreError, UpdateError
from gateway.update.book import Book
from gateway.update.facts import Facts, facts
from gateway.update.gate import Gate
from gateway.update.hands import Events, Hands
from gateway.update.labour import Labour
from gateway.update.lease import Leases
from gateway.update.orders import Orders
from gateway.update.parts import Parts
from gateway.update.tell import Teller
from gateway.update.watch import Watch

_log = logging.getLogger(__name__)


class Runner:
    """Works on updates.

    Args:
        parts: What it is made of.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._timing = parts.timing
        self._clock = parts.clock
        self._events: Events = asyncio.Queue()
        self._book = Book(parts.record, parts.clock, parts.timing.save_s)
        self._leases = Leases(parts.guard, parts.mailbox, parts.clock, parts.window)
        self._rests = False

    async def run(self) -> bool:
        """Work until nothing is left to do, or all that is left waits for long.

        Returns:
            False if another runner works.

        Raises:
            StoreError: The disk does not take what must be kept; nothing was begun.
        """
        return await self._alone(verify_only=False)

    async def verify(self) -> bool:
        """Bring what is on trial to its verdict, and do nothing else; for the timer after a start.

        Returns and raises as `run`.
        """
        return await self._alone(verify_only=True)

    async def _alone(self, *, verify_only: bool) -> bool:
        with self._parts.record.only_one() as is_ours:
            if not is_ours:
                _log.info("another runner works; nothing is left for this one")
                return False
            self._book.open()
            try:
                async with asyncio.TaskGroup() as group:
                    await self._in_group(group, verify_only=verify_only)
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
        return True

    async def _in_group(self, group: asyncio.TaskGroup, *, verify_only: bool) -> None:
        parts, timing = self._parts, self._timing
        self._teller = Teller(parts.guard, parts.sources, parts.record, again_s=timing.tell_s)
        self._orders = Orders(parts.sources, parts.record, self._teller, parts.applier, parts.kinds)
        gate = Gate(parts.guard, parts.signer, parts.clock, every_s=timing.health_every_s)
        labour = Labour(parts, self._leases, gate, self._book, self._events.put_nowait)
        self._hands = Hands(group, labour, self._events)
        watch = Watch(lambda: self._book.under_way, parts.mailbox, self._orders, self._leases, self._events)
        around = [
            group.create_task(coroutine)
            for coroutine in (
                watch.tick(timing),
                watch.look(timing),
                watch.renew(timing),
                *self._teller.workers(),
            )
        ]
        try:
            await self._all(verify_only=verify_only)
            await self._teller.flush(timing.flush_s)
        finally:
            await self._hands.stop()
            for task in around:
                task.cancel()

    async def _all(self, *, verify_only: bool) -> None:
        if verify_only:
            if self._book.is_on_trial:
                await self._go_on()
            return
        await self._teller.tell_late()
        if self._book.under_way is not None:
            await self._go_on()
        while not self._rests and (offered := await self._orders.next()) is not None:
            await self._offer(offered)
            await self._drive()

    async def _offer(self, offered: Offered) -> None:
        """Take an order, or answer why not; it stays with its source until it is on disk here."""
        moved, commands = step(self._book.update, offered, self._clock.now_s())
        self._book.baseline = {}
        self._book.keep(moved)
        await self._follow(commands)

    async def _go_on(self) -> None:
        """Go on with what the record says, as far as the machine agrees with it."""
        update = self._book.under_way
        if update is not None:
            found = await self._facts(update)
            await self._take(found.resumed(rebooted=self._book.rebooted))
            await self._drive()

    async def _facts(self, update: Update) -> Facts:
        """Return what runs; nothing can be decided without that."""
        while True:
            try:
                return facts(await self._parts.applier.call("state", {}), update.order.kind)
            except UpdateError as error:
                _log.warning("what runs is not known: %s", error)
                await asyncio.sleep(self._timing.disk_s)

    async def _drive(self) -> None:
        """Work until it is over or rests."""
        while self._book.under_way is not None and not self._rests:
            await self._take(await self._events.get())

    async def _take(self, event: UpdateEvent) -> None:
        moved, commands = step(self._book.update, event, self._clock.now_s())
        if isinstance(event, Progressed):
            self._parts.record.show_percent(event.percent)
        try:
            self._book.keep(moved)
        except StoreError as error:
            _log.error("%s; the update does not go on without it", error)
            await self._take_again(event)
            return
        await self._follow(commands)
        waits = moved is not None and moved.state is State.WAITING and isinstance(event, Leased)
        self._rests = waits and self._leases.closed_for_s > self._timing.rest_s

    async def _take_again(self, event: UpdateEvent) -> None:
        """The disk has refused: nothing has happened yet, and a lease does not last that long."""
        update = self._book.under_way
        if isinstance(event, Leased) and update is not None:
            await self._hands.begin(AskLease(event.step, self._timing.disk_s), update)
        elif not isinstance(event, Ticked | Progressed):
            await self._hands.later(event, self._timing.disk_s)

    async def _follow(self, commands: Sequence[UpdateCommand]) -> None:
        update = self._book.update
        if update is None:
            return
        for command in commands:
            if isinstance(command, Report):
                self._teller.tell(update)
                continue
            if isinstance(command, Reboot):
                await self._teller.flush(self._timing.flush_s)
            await self._hands.begin(command, update)
        if update.state.final:
            await self._hands.stop()
