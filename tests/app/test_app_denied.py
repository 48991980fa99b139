"""The whole daemon: turned away and let in again, enrolled while it runs, killed during a trial."""

import asyncio
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import pytest

from gateway.cli.demo import devca
from gateway.cli.demo.broker import Broker
from gateway.cli.demo.devca import CLOUD_NAME, DevCa
from gateway.control.client import Client
from gateway.sim.hands import Leak
from tests.fakes.broker import needs_mosquitto
from tests.fakes.cloud import Cloud, running_cloud
from tests.fakes.enrolment import Enrolment, Revocations, read_again
from tests.fakes.house import CONFIG, House, View, house

pytestmark = [pytest.mark.broker, needs_mosquitto]

LINK = """
[link]
backoff_cap_s = 1
[identity]
allow_software_key = true
"""


@dataclass
class World:
    """A house, a broker that reads a list of revocations, and a cloud."""

    house: House
    broker: Broker
    revocations: Revocations
    cloud: Cloud
    enrolment: Enrolment
    ca: DevCa

    async def start(self) -> None:
        await asyncio.to_thread(self.house.start)

    async def view(self, holds: Callable[[View], object]) -> View:
        return await asyncio.to_thread(self.house.until_view, holds)

    async def kick(self) -> None:
        """End the gateway's connection as an administrator can: somebody else takes its client id."""
        context = ssl.create_default_context(cafile=str(self.ca.ca_file))
        context.load_cert_chain(self.ca.cert_file(CLOUD_NAME), self.ca.key_file(CLOUD_NAME))
        where = {"hostname": self.broker.host, "port": self.broker.port, "tls_context": context}
        async with aiomqtt.Client(**where, identifier="house-7", protocol=aiomqtt.ProtocolVersion.V5):
            pass

    def nudge(self) -> str:
        with Client(self.house.folder / "run" / "org.reed.Gateway") as client:
            return str(client.call("UseIdentity")["detail"])


@pytest.fixture
def ca(tmp_path: Path) -> DevCa:
    return devca.ensure(tmp_path / "ca", "house-7")


@pytest.fixture
def revocations(ca: DevCa, tmp_path: Path) -> Revocations:
    return Revocations(ca, tmp_path / "crl.pem")


@pytest.fixture
def broker(ca: DevCa, revocations: Revocations, tmp_path: Path) -> Iterator[Broker]:
    with Broker(ca, tmp_path / "broker", extra=revocations.line) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path) as made:
        made.config_file.write_text(CONFIG + LINK)
        yield made


@pytest.fixture
async def world(
    home: House, broker: Broker, revocations: Revocations, ca: DevCa, tmp_path: Path
) -> AsyncIterator[World]:
    enrolment = Enrolment(ca, tmp_path / "state" / "identity")
    async with running_cloud(ca, broker) as cloud:
        yield World(home, broker, revocations, cloud, enrolment, ca)


def alarms(view: View) -> list[str]:
    return [alarm["id"] for alarm in view["alarms"] if alarm["active"]]


async def test_a_gateway_turned_away_says_so_protects_and_comes_back_by_itself(world: World):
    pair = world.enrolment.enrol(world.broker.port)
    await world.start()
    await world.cloud.until(lambda cloud: cloud.status() == (True, "connected"))
    await world.view(lambda view: not any(view["store"]["queued"].values()))

    world.revocations.revoke(pair)
    read_again(world.broker)
    await world.kick()
    began_s = time.monotonic()
    seen = await world.view(lambda view: "cloud-denied/gateway" in alarms(view))
    assert "revoked" in seen["link"]["denied"]
    assert (seen["link"]["state"], seen["indicator"]["led"]) == ("down", "cloud_denied")
    await asyncio.to_thread(world.house.hear, "STATUS=trouble; cloud denied")

    await asyncio.to_thread(world.house.poke, Leak(pipe="main"))
    seen = await world.view(lambda view: view["valves"]["main"]["state"] == "closed")
    assert seen["indicator"]["led"] == "alarm"
    assert seen["link"]["denied"]
    assert world.house.look()["valves"]["main"]["position"] == 0.0
    assert not [a for a in world.cloud.since(began_s) if a.message["kind"] != "status"]

    world.revocations.restore()
    read_again(world.broker)
    await world.cloud.until(lambda cloud: cloud.status(began_s) == (True, "connected"), 20.0)
    seen = await world.view(lambda view: "cloud-denied/gateway" not in alarms(view))
    assert seen["link"]["denied"] == ""
    await world.view(lambda view: not any(view["store"]["queued"].values()))

    told = [m["body"]["alarm_id"] for m in world.cloud.held.values() if m["kind"] == "alarm"]
    assert {"leak/zone/cellar", "cloud-denied/gateway"} <= {*told}
    assert not world.cloud.copies


async def test_enrolled_while_it_runs_the_first_message_comes_within_seconds(world: World):
    await world.start()
    seen = await world.view(lambda view: "reed-gateway enrol" in view["link"]["detail"])
    assert (seen["link"]["state"], seen["link"]["denied"]) == ("down", "")
    assert "cloud-denied/gateway" not in alarms(seen)

    world.enrolment.enrol(world.broker.port)
    began_s = time.monotonic()
    await asyncio.to_thread(world.nudge)
    await world.cloud.until(lambda cloud: cloud.held)
    assert time.monotonic() - began_s < 10.0

    seen = await world.view(lambda view: "adapter/identity" in alarms(view))
    assert seen["link"]["key"] == "file"


async def test_killed_at_any_step_of_a_trial_it_has_a_certificate_that_works(world: World):
    identity, step = world.enrolment.slots.folder, 0
    world.enrolment.enrol(world.broker.port)
    while True:
        staged = world.enrolment.renew()
        world.house.module = ["tests.fakes.dying", str(step), str(identity)]
        await asyncio.to_thread(world.house.spawn)
        survived = await asyncio.to_thread(taken_or_dead, world, staged.slot)
        await asyncio.to_thread(world.house.stop, signal.SIGKILL)
        if survived:
            break

        world.house.module = ["gateway"]
        await world.start()
        await world.view(lambda view: view["link"]["state"] == "up")
        await asyncio.to_thread(world.house.until, lambda slot=staged.slot: world.enrolment.in_use == slot)
        await asyncio.to_thread(world.house.until, lambda: world.enrolment.slots.trial() is None)
        await asyncio.to_thread(world.house.stop, signal.SIGKILL)
        step += 1
    assert step >= 5
    assert world.enrolment.outcome[0] == "promoted"


def taken_or_dead(world: World, slot: str) -> bool:
    """Return True when the new certificate is in use and all is written, False when the gateway has died."""
    daemon = world.house.daemon
    assert daemon is not None
    end_s = time.monotonic() + 15.0
    while time.monotonic() < end_s:
        if daemon.poll() is not None:
            return False
        if world.enrolment.in_use == slot and world.enrolment.outcome[0] == "promoted":
            return True
        time.sleep(0.01)
    raise AssertionError(world.house.log())
