"""The whole way: water on the floor, a closed valve, an alarm in the cloud; over a real broker."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cli.demo.cloud import Cloud
from gateway.config.read import read
from gateway.control.client import Client
from gateway.errors import ControlError
from gateway.sim.hands import Dry, Leak
from tests.fakes.broker import Broker, DevCa, needs_mosquitto, running_broker
from tests.fakes.cloud import running_cloud
from tests.fakes.house import CONFIG, House, house

pytestmark = [pytest.mark.broker, needs_mosquitto]


@dataclass
class World:
    """A house, a broker and a cloud."""

    house: House
    broker: Broker
    cloud: Cloud

    async def kinds(self, *wanted: str) -> None:
        """Wait until the cloud holds a message of each of these kinds."""
        await self.cloud.until(lambda cloud: {*wanted} <= {m["kind"] for m in cloud.held.values()})

    async def run(self, work: object) -> None:
        """Do something that blocks while the cloud goes on."""
        assert callable(work)
        await asyncio.to_thread(work)


def link_table(ca: DevCa, port: int) -> str:
    """Return `[link]` for this authority and broker."""
    files = {
        "ca_file": ca.ca_file,
        "cert_file": ca.cert_file("house-7"),
        "key_file": ca.key_file("house-7"),
        "command_key_file": ca.command_key_file,
    }
    keys = "\n".join(f'{key} = "{path}"' for key, path in files.items())
    return f'\n[link]\nhost = "localhost"\nport = {port}\nbackoff_cap_s = 1\n{keys}\n'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        yield made


@pytest.fixture
async def world(home: House, tmp_path: Path) -> AsyncIterator[World]:
    with running_broker(tmp_path) as (broker, ca):
        home.config_file.write_text(CONFIG + link_table(ca, broker.port))
        async with running_cloud(ca, broker) as cloud:
            yield World(home, broker, cloud)


async def test_alarm_reaches_the_cloud(world: World):
    await world.run(world.house.start)
    await world.cloud.until(lambda cloud: cloud.status() == (True, "connected"))

    await world.run(lambda: world.house.poke(Leak(pipe="main")))
    await world.cloud.until(lambda cloud: any(m["kind"] == "alarm" for m in cloud.held.values()))

    alarm = next(m for m in world.cloud.held.values() if m["kind"] == "alarm")
    assert alarm["body"]["alarm_id"] == "leak/zone/cellar"
    assert await asyncio.to_thread(world.house.stop) == 0
    await world.cloud.until(lambda cloud: cloud.status() == (False, "stopped"))


async def test_remote_close_moves_the_valve_and_is_answered(world: World):
    await world.run(world.house.start)
    await world.cloud.until(lambda cloud: cloud.status() == (True, "connected"))

    command = await world.cloud.command("valve", {"valve": "main", "wish": "close"})
    await world.cloud.until(lambda cloud: ("succeeded", "") in cloud.answers(command))

    assert world.house.look()["valves"]["main"]["position"] == 0.0


async def test_nothing_is_lost_when_the_network_is_cut_and_the_gateway_killed(world: World):
    await world.run(world.house.start)
    await world.cloud.until(lambda cloud: cloud.status() == (True, "connected"))
    world.broker.stop()

    await world.run(lambda: world.house.poke(Leak(pipe="main")))
    await world.run(lambda: world.house.until_view(lambda view: view["valves"]["main"]["state"] == "closed"))
    await world.run(lambda: world.house.until_view(lambda view: view["store"]["in_ram"] == 0))
    await asyncio.to_thread(world.house.stop, signal.SIGKILL)
    await world.run(lambda: world.house.poke(Dry(pipe="main")))
    world.broker.start()
    await world.run(world.house.start)

    await world.kinds("alarm", "valve", "restarted")
    assert world.house.look()["valves"]["main"]["position"] == 0.0


async def test_reload_begins_a_new_session_with_renewed_files(world: World):
    await world.run(world.house.start)
    await world.cloud.until(lambda cloud: cloud.status() == (True, "connected"))
    config = read(world.house.config_file).link
    assert config is not None
    config.cert_file.write_bytes(config.cert_file.read_bytes() + b"\n")
    before_s = time.monotonic()

    world.house.reload()
    heard = await asyncio.to_thread(world.house.hear, "READY=1")

    assert "applied: link" in heard[-1]
    await world.cloud.until(lambda cloud: cloud.status(before_s) == (True, "connected"))
    sessions = [a.message["body"]["session"] for a in world.cloud.arrivals if a.message["kind"] == "status"]
    assert sessions == sorted(sessions)
    assert len(set(sessions)) > 1


async def test_a_gateway_with_a_certificate_of_its_own_wants_no_enrolment(world: World):
    await world.run(world.house.start)
    await world.cloud.until(lambda cloud: cloud.status() == (True, "connected"))

    with (
        Client(world.house.folder / "run" / "org.reed.Gateway") as client,
        pytest.raises(ControlError, match="names cert_file and key_file"),
    ):
        await asyncio.to_thread(client.call, "UseIdentity")
