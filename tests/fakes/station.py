"""The way of an enrolled gateway to its cloud, with all its real parts, and without a building behind it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from gateway.app.clock import WallClock
from gateway.app.credentials import Enrolled
from gateway.app.folder import Folder
from gateway.app.keeper import Keeper
from gateway.config.model import Config
from gateway.config.read import read
from gateway.domain.commands import Command
from gateway.domain.events import AdapterFailed, AdapterRecovered, Event, LinkChanged
from gateway.domain.model import Channel
from gateway.link import wire
from gateway.link.backoff import Backoff
from gateway.link.host import Host
from gateway.link.link import Link
from gateway.link.wire import Origin, Stamp
from gateway.store.report import BootInfo
from gateway.store.store import Store
from tests.fakes.cloud import background
from tests.fakes.enrolment import Enrolment
from tests.fakes.house import CONFIG


class Station:
    """Lives within `running`.

    Args:
        config: With an empty `[link]`.
        enrolment: Its certificates.
        store: Open.
        read_unix_s: Its wall clock.
    """

    def __init__(
        self, config: Config, enrolment: Enrolment, store: Store, read_unix_s: Callable[[], float] = time.time
    ) -> None:
        assert config.link is not None
        self.enrolment, self.store = enrolment, store
        self.events: list[Event] = []
        self.clock = WallClock(read_unix_s)
        self.keeper = Keeper(enrolment.slots, self.clock, self.events.append)
        self.credentials = Enrolled(config, Folder(enrolment.slots), self.clock, self.keeper)
        self._origin = Origin(config.gateway.id, "boot", store.epoch)
        host = Host(
            origin=self._origin,
            outbox=store,
            snapshot=lambda: {"state": "normal"},
            emit=self.events.append,
            execute=self._execute,
            now=self._now,
            credentials=self.credentials,
        )
        keys = enrolment.slots.command_key_file
        self.link = Link(replace(config.link, command_key_file=keys), host, Backoff(first_s=0.2, cap_s=0.5))
        self.said = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Station"]:
        """Run link and keeper."""
        async with background(self.link.run()), background(self.keeper.run(self.credentials, self.link)):
            yield self

    def say(self) -> None:
        """Put one message into the outbox."""
        self.said += 1
        body = {"number": self.said}
        self.store.put(Channel.EVENT, lambda m: wire.encode(self._origin, m.seq, "said", body, self._now()))

    async def talk(self, per_s: float) -> None:
        """Say something so often, until cancelled."""
        loop = asyncio.get_running_loop()
        next_s = loop.time()
        while True:
            self.say()
            next_s += 1 / per_s
            await asyncio.sleep(max(0.0, next_s - loop.time()))

    @property
    def link_changes(self) -> list[bool]:
        """Each time the session came or went."""
        return [event.up for event in self.events if isinstance(event, LinkChanged) and not event.denied]

    @property
    def troubles(self) -> dict[str, str]:
        """What adapters have failed with and not recovered from."""
        found: dict[str, str] = {}
        for event in self.events:
            if isinstance(event, AdapterFailed):
                found[event.adapter] = event.problem
            elif isinstance(event, AdapterRecovered):
                found.pop(event.adapter, None)
        return found

    @property
    def denied(self) -> str:
        """Why the cloud turns us away."""
        return str(self.link.view(0.0)["denied"])

    def _now(self) -> Stamp:
        return Stamp(time.monotonic(), self.clock.now_unix_s(), self.clock.trusted())

    def _execute(self, command: Command) -> None:
        raise AssertionError(f"nobody has asked for {command}")


def configuration(folder: Path, more: str = "") -> Config:
    """Return the house's configuration, enrolled."""
    file = folder / "gateway.toml"
    file.write_text(f"{CONFIG}\n[link]\nconnect_timeout_s = 2\n[identity]\nallow_software_key = true\n{more}")
    return read(file)


@asynccontextmanager
async def station(
    config: Config, enrolment: Enrolment, read_unix_s: Callable[[], float] = time.time
) -> AsyncIterator[Station]:
    """Open a store and run a station on it."""
    config.store.path.parent.mkdir(exist_ok=True)
    store = await Store.open(config.store, BootInfo("boot"), lambda _report: None)
    made = Station(config, enrolment, store, read_unix_s)
    try:
        async with made.running():
            yield made
    finally:
        await store.close()
