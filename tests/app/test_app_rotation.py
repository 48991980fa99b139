"""New certificates: tried by the next session, in use when it works; nothing is lost, nothing doubled."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.app import pairs
from gateway.cli.demo import devca
from gateway.cli.demo.broker import Broker
from gateway.cli.demo.devca import DevCa
from gateway.config.model import Config
from gateway.identity.records import Cloud as EnrolledAt
from tests.fakes.broker import needs_mosquitto
from tests.fakes.cloud import Cloud, background, running_cloud
from tests.fakes.enrolment import Enrolment, Revocations, read_again
from tests.fakes.proxy import running_proxy
from tests.fakes.station import Station, configuration, station
from tests.fakes.waiting import until

pytestmark = [pytest.mark.broker, needs_mosquitto]


@dataclass
class World:
    """A broker that reads a list of revocations, the cloud behind it, and an enrolled gateway."""

    broker: Broker
    revocations: Revocations
    cloud: Cloud
    config: Config
    enrolment: Enrolment

    def arrivals(self) -> list[int]:
        """What was said, copies included, in order of arrival."""
        said = [a.message for a in self.cloud.arrivals if a.message["kind"] == "said"]
        return [message["body"]["number"] for message in said]

    async def everything(self, at: Station) -> None:
        """Wait until the cloud holds all that was said."""
        await self.cloud.until(lambda _cloud: len({*self.arrivals()}) == at.said)


@pytest.fixture(autouse=True)
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker's alert may be lost to the reset that follows it (TLS 1.3): then the next trial tells."""
    monkeypatch.setattr(pairs, "FIRST_WAIT_S", 0.5)


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
async def world(ca: DevCa, broker: Broker, revocations: Revocations, tmp_path: Path) -> AsyncIterator[World]:
    config = configuration(tmp_path)
    enrolment = Enrolment(ca, config.gateway.identity_dir)
    enrolment.enrol(broker.port)
    async with running_cloud(ca, broker) as cloud:
        yield World(broker, revocations, cloud, config, enrolment)


async def test_five_rotations_under_load_lose_and_double_nothing(world: World):
    enrolment = world.enrolment
    async with station(world.config, enrolment) as at:
        async with background(at.talk(100.0)):
            await until(lambda: at.link.is_up)
            for _ in range(5):
                before = enrolment.in_use
                staged = enrolment.renew()
                assert enrolment.in_use == before != staged.slot
                at.keeper.nudge()
                await until(lambda staged=staged: enrolment.in_use == staged.slot)
                await asyncio.sleep(0.3)
        await world.everything(at)
        await asyncio.sleep(0.3)
        assert at.link.view(0.0)["sessions"] == 6

    assert at.said > 150
    assert sorted(world.arrivals()) == list(range(1, at.said + 1))
    assert enrolment.outcome == ("promoted", "")


async def test_a_cloud_that_does_not_listen_does_not_hold_a_rotation_up(
    ca: DevCa, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What the broker had nobody for is sent again in any case: nothing to wait for."""
    monkeypatch.setattr("gateway.link.session._HAND_OVER_S", 600.0)
    monkeypatch.setattr("gateway.link.window.UNHEARD_S", 600.0)
    config = configuration(tmp_path)
    enrolment = Enrolment(ca, config.gateway.identity_dir)
    enrolment.enrol(broker.port)
    async with station(config, enrolment) as at, background(at.talk(20.0)):
        await until(lambda: at.link.is_up and at.said > 5)
        staged = enrolment.renew()
        at.keeper.nudge()
        await until(lambda: enrolment.in_use == staged.slot)


async def refused(world: World, at: Station, why: str) -> None:
    """The new pair is tried and refused, the old one is back within seconds, and nobody is alarmed."""
    enrolment, before = world.enrolment, world.enrolment.in_use
    at.keeper.nudge()
    await until(lambda: enrolment.outcome[0] == "rejected" and enrolment.slots.trial() is None)
    await until(lambda: at.link.is_up, 5.0)
    await world.everything(at)

    assert why in enrolment.outcome[1]
    assert (enrolment.in_use, enrolment.slots.trial()) == (before, None)
    assert at.denied == ""
    assert at.link.view(0.0)["pair"] == before
    assert at.link_changes[-1] is True


async def test_a_revoked_new_certificate_is_given_up_and_the_old_one_goes_on(world: World):
    async with station(world.config, world.enrolment) as at, background(at.talk(100.0)):
        await until(lambda: at.link.is_up)
        world.revocations.revoke(world.enrolment.renew())
        read_again(world.broker)
        await refused(world, at, "revoked")

    assert {*world.arrivals()} >= {*range(1, at.said - 30)}


async def test_a_new_certificate_of_an_authority_that_the_broker_does_not_know_is_given_up(
    world: World, tmp_path: Path
):
    stranger = devca.ensure(tmp_path / "stranger", "house-7")
    async with station(world.config, world.enrolment) as at:
        await until(lambda: at.link.is_up)
        world.enrolment.renew(by=stranger)
        await refused(world, at, "does not know who issued")


async def test_a_new_certificate_with_which_we_may_not_speak_is_given_up(world: World):
    async with station(world.config, world.enrolment) as at:
        await until(lambda: at.link.is_up)
        world.enrolment.renew(name="house-8")
        await refused(world, at, "Not authorized")


async def test_a_new_pair_that_does_not_fit_together_is_given_up_before_any_broker_sees_it(world: World):
    async with station(world.config, world.enrolment) as at:
        await until(lambda: at.link.is_up)
        pair = world.enrolment.renew()
        pair.key_file.write_bytes(world.enrolment.slots.pair(world.enrolment.in_use).key_file.read_bytes())
        await refused(world, at, "not the certificate of our key")


async def test_a_network_that_fails_during_the_trial_says_nothing_about_the_new_certificate(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.app.pairs.FIRST_WAIT_S", 0.2)
    monkeypatch.setattr("gateway.app.keeper.LOOK_EVERY_S", 0.1)
    enrolment = world.enrolment
    async with running_proxy(world.broker.host, world.broker.port) as proxy:
        enrolment.slots.save_cloud(EnrolledAt("house-7", "https://localhost:1", "127.0.0.1", proxy.port))
        async with station(world.config, enrolment) as at, background(at.talk(50.0)):
            await until(lambda: at.link.is_up)
            proxy.cut()
            staged = enrolment.renew()
            at.keeper.nudge()
            attempts = at.link.view(0.0)["sessions"]
            await until(lambda: at.link.view(0.0)["sessions"] > attempts + 4)
            assert enrolment.outcome == ("staged", "")
            proxy.restore()
            await until(lambda: enrolment.in_use == staged.slot)
            await world.everything(at)

    assert {*world.arrivals()} >= {*range(1, at.said - 10)}


async def test_the_former_pair_is_the_last_resort_when_the_one_in_use_is_refused(world: World):
    enrolment = world.enrolment
    async with station(world.config, enrolment) as at:
        await until(lambda: at.link.is_up)
        staged = enrolment.renew()
        at.keeper.nudge()
        await until(lambda: enrolment.in_use == staged.slot)
        world.revocations.revoke(staged)
        await asyncio.to_thread(world.broker.stop)
        await asyncio.to_thread(world.broker.start)
        await until(lambda: at.link.is_up and enrolment.in_use != staged.slot)

    assert at.denied == ""
