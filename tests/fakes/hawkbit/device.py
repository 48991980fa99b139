"""A gateway as far as updates go: the real machine and the real source, over a small model of a computer.

The computer has two versions and a health gate; "disk" (record, former updates) survives `restart`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.domain.model import Json
from gateway.domain.update.machine import step
from gateway.domain.update.model import (
    Abort,
    AskLease,
    Cancelled,
    CheckHealth,
    Code,
    Commit,
    Done,
    Failed,
    Fetch,
    Install,
    Judged,
    Leased,
    Offered,
    Order,
    Progressed,
    Reboot,
    Report,
    Restore,
    Resumed,
    Step,
    Update,
    UpdateCommand,
    UpdateEvent,
)
from gateway.errors import UpdateError
from gateway.update.hawkbit.client import Client
from gateway.update.hawkbit.guard import WindowGuard
from gateway.update.hawkbit.memory import Memory
from gateway.update.hawkbit.settings import Settings
from gateway.update.hawkbit.source import Hawkbit
from gateway.update.ports import Lease
from tests.fakes.hawkbit.web import PlainWeb


@dataclass
class Computer:
    """What an update acts on.

    Args:
        version: That runs.
        bad: Versions that do not pass the health gate.
        unfit: Targets that cannot be fetched, e.g. as the signed metadata do not name them.
        wet: The core grants no lease for anything that disturbs.
        during_check: Called while the new version is being judged.
    """

    version: str = "1.0"
    former: str = "1.0"
    bad: frozenset[str] = frozenset()
    unfit: frozenset[str] = frozenset()
    wet: bool = False
    during_check: Callable[[], Awaitable[None]] | None = None
    installed: list[str] = field(default_factory=list)

    async def view(self) -> Mapping[str, Json]:
        return {}

    async def lease(self, step: Step) -> Lease:
        if self.wet and step is not Step.DOWNLOAD:
            return Lease(granted=False, reasons=("water",))
        return Lease(granted=True, valid_for_s=10.0)

    async def report(self, update: Update) -> None:
        """Nobody is to be told."""


@dataclass
class HandClock:
    """Moved by hand."""

    s: float = 0.0
    boot_id: str = "this boot"

    def now_s(self) -> float:
        return self.s

    def now_unix_s(self) -> float | None:
        return None

    def minute(self) -> int | None:
        return None


class Device:
    """One gateway.

    Args:
        web: Its way to hawkBit.
        gateway_id: Its id there.
        folder: Its disk.
        computer: What it is.
    """

    def __init__(self, web: PlainWeb, gateway_id: str, folder: Path, computer: Computer) -> None:
        self.computer = computer
        self.gateway_id = gateway_id
        self.folder = folder
        self.web = web
        self.clock = HandClock()
        self.objection = ""
        self.update: Update | None = None
        self.former: list[Update] = []
        self._queue: list[UpdateEvent] = []
        self.restart()

    def restart(self) -> None:
        """Begin anew with what is on disk."""
        settings = Settings(
            poll_s=900.0,
            deadline_s=86_400.0,
            attributes=self._attributes,
            objection=lambda: self.objection,
        )
        self.source = Hawkbit(
            Client(self.web, "DEFAULT", self.gateway_id),
            Memory(self.folder / f"{self.gateway_id}.json", self.clock, lambda: 0.0),
            lambda: [*self.former, *([self.update] if self.update else [])],
            settings,
            self.clock,
        )
        self._guard = WindowGuard(self.computer, self.source, self._current)
        self._queue.clear()

    async def poll(self) -> Order | None:
        """Ask hawkBit, as the runner's timer does."""
        self.clock.s += 3600
        order = await self.source.order()
        if order is not None and (self.update is None or self.update.state.final):
            await self.handle(Offered(order, self.computer.version))
        return order

    async def run(self, rounds: int = 200) -> Update | None:
        """Ask hawkBit and do what there is to do, until nothing is left or it has to wait for others."""
        await self.poll()
        for _ in range(rounds):
            if self.update is None or self.update.state.final:
                break
            if await self.source.cancelled(self.update.order.id):
                await self.handle(Cancelled("hawkBit wants it no more"))
            if not self._queue:
                break
            await self.handle(self._queue.pop(0))
        return self.update

    async def handle(self, event: UpdateEvent) -> None:
        """Let the machine know, and do what it says."""
        before = self.update
        self.update, commands = step(before, event, self.clock.s)
        if before and self.update and before.order.id != self.update.order.id:
            self.former.append(before)
        for command in commands:
            answer = await self._do(command)
            if answer is not None:
                self._queue.append(answer)

    def _current(self) -> Update | None:
        return self.update if self.update and not self.update.state.final else None

    async def _attributes(self) -> Mapping[str, str]:
        return {"reed.os": self.computer.version, "reed.compatible": "reed-test"}

    async def _do(self, command: UpdateCommand) -> UpdateEvent | None:  # one line for each
        assert self.update is not None
        computer, order = self.computer, self.update.order
        match command:
            case Report():
                await self._report(self.update)
                return None
            case AskLease(wanted, wait_s):
                self.clock.s += wait_s
                lease = await self._guard.lease(wanted)
                return Leased(wanted, lease.granted, lease.reasons)
            case Fetch():
                await self.handle(Progressed(55))
                bad = order.target in computer.unfit
                return Failed(Code.UNTRUSTED, f"no metadata name {order.target}") if bad else Done()
            case Install():
                computer.installed.append(order.version)
                return Done()
            case Reboot():
                swapped = (computer.former, computer.version)
                computer.version, computer.former = (
                    (order.version, computer.version) if computer.version != order.version else swapped
                )
                trial = computer.version == order.version
                return Resumed(rebooted=True, version=computer.version, trial=trial)
            case CheckHealth():
                if computer.during_check:
                    await computer.during_check()
                return Judged(computer.version not in computer.bad, ("sensor kitchen is silent",))
            case Commit() | Restore() | Abort():
                return Done()

    async def _report(self, update: Update) -> None:
        for _ in range(3):
            try:
                await self.source.report(update)
            except UpdateError:
                await asyncio.sleep(0)
            else:
                return
