"""A runner with a model of a gateway around it, which is started again whenever the machine is."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gateway.domain.update.model import Kind, Order, State, Update
from gateway.errors import UpdateError
from gateway.update.mailbox import LocalSource, Mailbox
from gateway.update.parts import Parts, Timing
from gateway.update.record import Record
from gateway.update.runner import Runner
from tests.fakes.updated import Cloud, Daemon, Machine, Signs, Time


class Fetch:
    """A download of some length, which may be interrupted and fail."""

    def __init__(self) -> None:
        self.lasts_s = 20.0
        self.troubles: list[UpdateError] = []
        self.begun = 0
        self.whole = False
        self.during: Callable[[], None] = lambda: None
        self.stale: UpdateError | None = None

    async def fetch(self, order: Order, on_percent: Callable[[int], None]) -> None:  # noqa: ARG002
        self.begun += 1
        if self.troubles:
            raise self.troubles.pop(0)
        self.during()
        for percent in range(0, 101, 10):
            await asyncio.sleep(self.lasts_s / 10)
            on_percent(percent)
        self.whole = True

    async def freshen(self, order: Order) -> None:  # noqa: ARG002
        if self.stale is not None:
            raise self.stale


class Gateway:
    """Everything, and who runs it."""

    def __init__(self, folder: Path, **timing: float) -> None:
        loop = asyncio.get_running_loop()
        self.time = Time(loop.time)
        self.machine = Machine(on_restart=self._restart)
        self.daemon = Daemon(self.machine)
        self.cloud = Cloud()
        self.fetch = Fetch()
        self.record = Record(folder)
        self.mailbox = Mailbox(folder)
        self.parts = Parts(
            record=self.record,
            mailbox=self.mailbox,
            sources={"cloud": self.cloud, "local": LocalSource(self.mailbox)},
            guard=self.daemon,
            applier=self.machine,
            fetcher=self.fetch,
            signer=Signs(),
            clock=self.time,
            timing=Timing(**timing),
        )
        self.runs = 0
        self._running: asyncio.Task[bool] | None = None

    def _restart(self) -> None:
        self.time.restart()
        if self._running is not None:
            self._running.cancel()

    def wants(self, kind: Kind, version: str = "2", **changes: object) -> Order:
        """Have the cloud want this."""
        order = replace(Order(f"u-{kind}-{version}", kind, f"{kind}/{version}", version, "cloud"), **changes)
        self.cloud.orders.append(order)
        return order

    async def run(self, *, verify_only: bool = False) -> None:
        """Run once; the machine may go down meanwhile."""
        self.runs += 1
        runner = Runner(self.parts)
        work = runner.verify() if verify_only else runner.run()
        self._running = asyncio.get_running_loop().create_task(work)
        with suppress(asyncio.CancelledError):
            await self._running

    async def run_out(self, most: int = 20) -> Update:
        """Run, and start again what was started, until nothing is left; return the last update."""
        while True:
            boots = self.machine.boots
            await self.run()
            if self.machine.boots == boots:
                return self.update
            assert self.runs < most, "it restarts for ever"

    @property
    def update(self) -> Update:
        saved = self.record.load()
        assert saved is not None
        return saved.update

    @property
    def outcome(self) -> tuple[State, str]:
        return self.update.state, self.update.code

    def states(self) -> list[str]:
        """What the daemon was told, one word for each state."""
        told = [update.state.value for update in self.daemon.told]
        return [state for at, state in enumerate(told) if at == 0 or told[at - 1] != state]
