"""The work that the machine orders, one piece at a time; each ends with one event for the machine."""

import asyncio
from collections.abc import Callable, Mapping

from gateway.domain.model import Json
from gateway.domain.update.model import (
    Abort,
    AskLease,
    CheckHealth,
    Code,
    Commit,
    Done,
    Failed,
    Fetch,
    Install,
    Judged,
    Kind,
    Leased,
    Progressed,
    Reboot,
    Restore,
    State,
    Step,
    Update,
    UpdateEvent,
    Work,
)
from gateway.errors import ControlError, StoreError, UpdateError
from gateway.update.book import Book
from gateway.update.gate import Gate
from gateway.update.lease import Leases
from gateway.update.parts import Parts


class Labour:
    """Does the work.

    Args:
        parts: Who does what.
        leases: Who is asked before.
        gate: Judges.
        book: Keeps what worked before; it is written down with the next state.
        emit: Takes events on the way; from the loop's thread.
    """

    def __init__(
        self, parts: Parts, leases: Leases, gate: Gate, book: Book, emit: Callable[[UpdateEvent], None]
    ) -> None:
        self._parts = parts
        self._leases = leases
        self._gate = gate
        self._book = book
        self._emit = emit

    async def do(self, work: Work, update: Update) -> UpdateEvent:
        """Do it, for this update, and return what came of it."""
        try:
            return await self._do(work, update)
        except UpdateError as error:
            return Failed(Code(error.code), str(error), passing=error.passing)
        except StoreError as error:
            return Failed(Code.NO_SPACE, str(error), passing=True)

    async def _do(self, work: Work, update: Update) -> UpdateEvent:
        match work:
            case AskLease(step, wait_s):
                await asyncio.sleep(wait_s)
                return await self._ask(update, step)
            case Fetch(wait_s):
                await asyncio.sleep(wait_s)
                await self._parts.fetcher.fetch(update.order, self._progress)
            case Install():
                return await self._install(update)
            case Reboot():
                return await self._reboot(update)
            case CheckHealth():
                return await self._check(update)
            case Commit():
                await self._call("commit", update)
            case Restore(wait_s):
                await asyncio.sleep(wait_s)
                await self._call("restore", update)
            case Abort(wait_s):
                await asyncio.sleep(wait_s)
                await self._call("abort", update)
        return Done()

    async def _ask(self, update: Update, step: Step) -> Leased:
        away = update.state is State.ROLLING_BACK
        answer = await self._leases.ask(update.order, step, away=away)
        if not answer.granted or away or step is Step.DOWNLOAD:
            return answer
        if answer.dead:
            self._book.baseline = {}
            return answer
        try:
            self._book.baseline = await self._gate.before()
        except ControlError as error:
            return Leased(step, granted=False, reasons=(f"the gateway does not answer: {error}",), dead=True)
        return answer

    async def _install(self, update: Update) -> UpdateEvent:
        order = update.order
        arguments: Mapping[str, Json] = {
            "kind": order.kind.value,
            "target": order.target,
            "version": order.version,
            "downgrade": order.downgrade,
            "id": order.id,
            "actor": order.actor,
        }
        if order.target:
            # it may have waited for days: metadata end, and a release can be taken back
            await self._parts.fetcher.freshen(order)
        await self._parts.applier.call("install", arguments, self._progress)
        return Done()

    async def _reboot(self, update: Update) -> UpdateEvent:
        into = "former" if update.state is State.ROLLING_BACK else "new"
        await self._parts.applier.call("reboot", {"into": into, "id": update.order.id})
        await asyncio.sleep(self._parts.timing.reboot_s)  # which nobody here lives to see the end of
        return Failed(Code.NOT_STARTED, "the machine does not restart", passing=True)

    async def _check(self, update: Update) -> Judged:
        is_config = update.order.kind is Kind.CONFIG
        timeout_s = self._parts.timing.health_timeout_s
        return await self._gate.check(self._book.baseline, away=is_config, timeout_s=timeout_s)

    async def _call(self, verb: str, update: Update) -> None:
        order = update.order
        why = f"{update.code}: {update.detail}" if update.code else update.detail
        about = {"kind": order.kind.value, "version": order.version, "id": order.id, "actor": order.actor}
        await self._parts.applier.call(verb, {**about, "detail": why})

    def _progress(self, percent: int) -> None:
        self._emit(Progressed(percent))
