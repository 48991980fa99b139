"""Where the link gets its certificate from: enrolled late, in a file, near its end, with a wrong clock."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import durable
from gateway.cli.demo import devca
from gateway.cli.demo.broker import Broker
from gateway.cli.demo.devca import DevCa
from gateway.config.model import Config
from gateway.identity.records import Attempt
from gateway.identity.records import Cloud as EnrolledAt
from tests.fakes.broker import needs_mosquitto
from tests.fakes.cloud import Cloud, running_cloud
from tests.fakes.enrolment import Enrolment
from tests.fakes.moody import Mood, moody_broker
from tests.fakes.station import configuration, station
from tests.fakes.waiting import until

pytestmark = [pytest.mark.broker, needs_mosquitto]


@dataclass
class World:
    broker: Broker
    cloud: Cloud
    config: Config
    enrolment: Enrolment


@pytest.fixture
def ca(tmp_path: Path) -> DevCa:
    return devca.ensure(tmp_path / "ca", "house-7")


@pytest.fixture
def broker(ca: DevCa, tmp_path: Path) -> Iterator[Broker]:
    with Broker(ca, tmp_path / "broker") as running:
        yield running


@pytest.fixture
async def world(ca: DevCa, broker: Broker, tmp_path: Path) -> AsyncIterator[World]:
    config = configuration(tmp_path)
    async with running_cloud(ca, broker) as cloud:
        yield World(broker, cloud, config, Enrolment(ca, config.gateway.identity_dir))


# --- enrolment --------------------------------------------------------------------------------------


async def test_a_gateway_that_is_not_enrolled_says_so_and_connects_as_soon_as_it_is(world: World):
    async with station(world.config, world.enrolment) as at:
        at.say()
        await until(lambda: "not enrolled; run: reed-gateway enrol" in str(at.link.view(0.0)["detail"]))
        assert at.link.view(0.0)["state"] == "down"

        world.enrolment.enrol(world.broker.port)
        at.keeper.nudge()
        await world.cloud.until(lambda cloud: any(m["kind"] == "said" for m in cloud.held.values()), 5.0)

    assert at.link.view(0.0)["sessions"] == 2


async def test_who_enrols_without_telling_is_found_out(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("gateway.app.keeper.LOOK_EVERY_S", 0.1)
    async with station(world.config, world.enrolment) as at:
        await until(lambda: "not enrolled" in str(at.link.view(0.0)["detail"]))
        world.enrolment.enrol(world.broker.port)
        await until(lambda: at.link.is_up)


async def test_an_enrolment_for_another_gateway_is_not_used(world: World):
    world.enrolment.enrol(world.broker.port)
    world.enrolment.slots.save_cloud(
        EnrolledAt("house-8", "https://localhost:1", "127.0.0.1", world.broker.port)
    )
    async with station(world.config, world.enrolment) as at:
        await until(lambda: "enrolled as house-8" in str(at.link.view(0.0)["detail"]))


async def test_enrolling_again_begins_a_session_with_the_new_certificate(world: World):
    world.enrolment.enrol(world.broker.port)
    async with station(world.config, world.enrolment) as at:
        await until(lambda: at.link.is_up)
        pair = world.enrolment.enrol(world.broker.port)
        at.keeper.nudge()
        await until(lambda: at.link.view(0.0)["pair"] == pair.slot and at.link.is_up)


async def test_a_broker_that_has_moved_is_found_where_the_enrolment_says(world: World):
    world.enrolment.enrol(world.broker.port + 1)
    async with station(world.config, world.enrolment) as at:
        await until(lambda: "refused" in str(at.link.view(0.0)["detail"]))
        world.enrolment.slots.save_cloud(EnrolledAt("house-7", "https://x", "127.0.0.1", world.broker.port))
        at.keeper.nudge()
        await until(lambda: at.link.is_up)


async def test_a_nudge_about_nothing_new_leaves_the_session_alone(world: World):
    world.enrolment.enrol(world.broker.port)
    async with station(world.config, world.enrolment) as at:
        await until(lambda: at.link.is_up)
        for _ in range(5):
            at.keeper.nudge()
            await asyncio.sleep(0.05)
        assert at.link.view(0.0)["sessions"] == 1


async def test_a_damaged_pair_in_use_is_not_the_end_if_the_former_one_works(world: World):
    world.enrolment.enrol(world.broker.port)
    former = world.enrolment.in_use
    world.enrolment.slots.promote(world.enrolment.renew())
    world.enrolment.slots.pair(world.enrolment.in_use).key_file.write_text("torn")
    async with station(world.config, world.enrolment) as at:
        await until(lambda: at.link.is_up and world.enrolment.in_use == former)


# --- troubles ---------------------------------------------------------------------------------------


async def test_a_key_in_a_file_is_a_standing_trouble(world: World):
    world.enrolment.enrol(world.broker.port)
    async with station(world.config, world.enrolment) as at:
        await until(lambda: "lies in a file" in at.troubles.get("identity", ""))
        await until(lambda: at.link.is_up)
        assert at.link.view(0.0)["key"] == "file"
        assert "certificate" not in at.troubles


async def test_an_enrolment_that_cannot_be_used_is_a_trouble_until_it_can(world: World):
    pair = world.enrolment.enrol(world.broker.port)
    key = pair.key_file.read_bytes()
    pair.key_file.write_text("torn")
    async with station(world.config, world.enrolment) as at:
        await until(lambda: "holds no private key" in at.troubles.get("identity", ""))

        pair.key_file.write_bytes(key)
        at.keeper.nudge()
        await until(lambda: at.link.is_up and "lies in a file" in at.troubles["identity"])


async def test_a_certificate_near_its_end_is_a_trouble_with_the_reason_until_it_is_renewed(world: World):
    now = datetime.now(UTC)
    ends = now + timedelta(days=2)
    world.enrolment.enrol(world.broker.port, starts=now - timedelta(days=28), ends=ends)
    world.enrolment.slots.save_attempt(Attempt(now.timestamp(), "renew", "failed", "", "no answer"))
    async with station(world.config, world.enrolment) as at:
        await until(lambda: "certificate" in at.troubles)
        assert f"ends on {ends:%Y-%m-%d}; the last renewal failed: no answer" in at.troubles["certificate"]
        await until(lambda: at.link.is_up)

        world.enrolment.renew()
        at.keeper.nudge()
        await until(lambda: "certificate" not in at.troubles)


async def test_a_disk_that_is_full_keeps_the_new_certificate_in_use_and_is_told_later(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.app.keeper._AGAIN_S", 0.1)
    world.enrolment.enrol(world.broker.port)
    before = world.enrolment.in_use
    async with station(world.config, world.enrolment) as at:
        await until(lambda: at.link.is_up)
        staged = world.enrolment.renew()
        with monkeypatch.context() as full:
            full.setattr(durable, "point", no_space)
            at.keeper.nudge()
            await until(lambda: at.link.view(0.0)["pair"] == staged.slot and at.link.is_up)
            await asyncio.sleep(0.5)
            assert world.enrolment.in_use == before
            assert at.link.view(0.0)["sessions"] == 2
        await until(lambda: world.enrolment.in_use == staged.slot)
        assert at.link.view(0.0)["sessions"] == 2


def no_space(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_what_was_decided_about_a_pair_is_not_written_about_another_one_in_its_place(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.app.keeper._AGAIN_S", 0.1)
    world.enrolment.enrol(world.broker.port)
    before = world.enrolment.in_use
    async with station(world.config, world.enrolment) as at:
        await until(lambda: at.link.is_up)
        staged = world.enrolment.renew()
        with monkeypatch.context() as full:
            full.setattr(durable, "point", no_space)
            at.keeper.nudge()
            await until(lambda: at.link.view(0.0)["pair"] == staged.slot and at.link.is_up)
            world.enrolment.renew(name="house-8")
        await until(lambda: world.enrolment.outcome[0] == "rejected")

    assert world.enrolment.in_use == before


# --- clock ------------------------------------------------------------------------------------------


async def test_a_gateway_that_believes_it_is_1970_connects_and_judges_no_certificate_by_time(
    ca: DevCa, tmp_path: Path
):
    past = datetime.now(UTC) - timedelta(days=3)
    config = configuration(tmp_path)
    enrolment = Enrolment(ca, config.gateway.identity_dir)
    ca.issue("broker", ["127.0.0.1"], starts=past, ends=past + timedelta(days=1))
    async with moody_broker(ca, Mood()) as moody:
        enrolment.enrol(moody.port, starts=past, ends=datetime.now(UTC) + timedelta(hours=1))
        async with station(config, enrolment, lambda: 1000.0) as at:
            await until(lambda: at.link.is_up)
            assert at.link.view(0.0)["checks_time"] is False
            assert "certificate" not in at.troubles
            assert at.clock.trusted_unix_s() is None
    assert enrolment.slots.current() is not None
