"""A gateway's link without the rest of the gateway, a real broker, and a small cloud."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.domain.commands import AnswerRequest, Command, Publish
from gateway.domain.events import Event, LinkChanged
from gateway.domain.model import Channel, Json
from gateway.link import wire
from gateway.link.backoff import Backoff
from gateway.link.blocking import Lane
from gateway.link.config import Config
from gateway.link.credentials import Credentials
from gateway.link.host import Host
from gateway.link.link import Link
from gateway.link.tls import Files
from gateway.link.wire import Origin, Stamp
from tests.fakes.broker import Broker, DevCa, running_broker
from tests.fakes.outbox import MemoryOutbox

GATEWAY = "house-7"


@dataclass
class Site:
    """Stands where core and app are: keeps the events, queues the messages."""

    outbox: MemoryOutbox
    credentials: Credentials | None = None
    lane: Lane = field(default_factory=Lane)
    events: list[Event] = field(default_factory=list)
    view: dict[str, Json] = field(default_factory=lambda: {"state": "normal", "zones": {}})
    clock_trusted: bool = True
    floor_unix_s: float = 0.0

    @property
    def host(self) -> Host:
        origin = Origin(GATEWAY, "b0070000-0000-4000-8000-000000000000", self.outbox.epoch)
        return Host(
            origin=origin,
            outbox=self.outbox,
            snapshot=lambda: self.view,
            emit=self.events.append,
            execute=self.execute,
            now=self.now,
            credentials=self.credentials or Files(Config()),
            lane=self.lane,
        )

    def now(self) -> Stamp:
        return Stamp(time.monotonic(), time.time(), self.clock_trusted, self.floor_unix_s)

    def execute(self, command: Command) -> None:
        match command:
            case AnswerRequest():
                self.say(Channel.ACK, "answer", wire.answer_body(command))
            case Publish(channel, kind, body):
                self.say(channel, kind, dict(body))
            case _:
                raise AssertionError(f"the link may not ask for {command}")

    def say(self, channel: Channel, kind: str, body: dict[str, Json]) -> None:
        origin = self.host.origin
        self.outbox.put(channel, lambda m: wire.encode(origin, m.seq, kind, body, self.now()))

    def tell(self, count: int, channel: Channel = Channel.TELE) -> None:
        for number in range(count):
            self.say(channel, channel.name.lower(), {"number": number})

    @property
    def requests(self) -> list[Event]:
        return [event for event in self.events if not isinstance(event, LinkChanged)]

    @property
    def link_changes(self) -> list[bool]:
        return [event.up for event in self.events if isinstance(event, LinkChanged)]


def link_config(ca: DevCa, broker: Broker, **changes: object) -> Config:
    keys: dict[str, object] = {
        "host": broker.host,
        "port": broker.port,
        "ca_file": ca.ca_file,
        "cert_file": ca.cert_file(ca.gateway_id),
        "key_file": ca.key_file(ca.gateway_id),
        "command_key_file": ca.command_key_file,
        "replay_per_s": 0.0,
        "connect_timeout_s": 2.0,
    }
    return Config(**(keys | changes))  # type: ignore[arg-type]  # keys of one test each


def quick() -> Backoff:
    return Backoff(first_s=0.1, cap_s=0.2)


def make_link(site: Site, ca: DevCa, broker: Broker, **changes: object) -> Link:
    config = link_config(ca, broker, **changes)
    if site.credentials is None:
        site.credentials = Files(config, lambda: site.clock_trusted)
    return Link(config, site.host, quick())


@pytest.fixture(scope="module")
def broker_and_ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Broker, DevCa]]:
    with running_broker(tmp_path_factory.mktemp("broker"), GATEWAY) as running:
        yield running


@pytest.fixture
def broker(broker_and_ca: tuple[Broker, DevCa]) -> Broker:
    return broker_and_ca[0]


@pytest.fixture
def ca(broker_and_ca: tuple[Broker, DevCa]) -> DevCa:
    return broker_and_ca[1]


@pytest.fixture
async def site() -> Site:
    return Site(MemoryOutbox())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
