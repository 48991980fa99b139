"""The link to the cloud with a key in the TPM: rotated, restarted, hanging; and the loop goes on."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.cli.demo.broker import Broker
from gateway.cli.demo.devca import DevCa
from gateway.identity.config import Config as IdentityConfig
from gateway.identity.keys import Keys
from gateway.identity.pair import Pair
from gateway.identity.records import Attempt, Cloud
from gateway.identity.slots import Slots
from tests.fakes.certified import certified
from tests.fakes.enrolment import Enrolment
from tests.fakes.station import Station, configuration, station
from tests.fakes.waiting import until
from tests.system.harness.swtpm import Swtpm
from tests.tpm.conftest import GATEWAY, left_in

STANDSTILL_S = 0.5
LIMIT_S = 2.0


class Loop:
    """Notes the longest time in which the event loop did nothing else."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before_s = loop.time()
            await asyncio.sleep(0.005)
            self.longest_s = max(self.longest_s, loop.time() - before_s)


def renewed(slots: Slots, keys: Keys, ca: DevCa) -> Pair:
    """A new key in the TPM, and its certificate."""
    pair = slots.prepare()
    keys.create(pair.key_file)
    certified(pair.key_file, keys, ca, GATEWAY)
    slots.save_attempt(Attempt(1.0, "renew", "staged", pair.slot))
    return pair


@pytest.fixture
def enrolment(tmp_path: Path, keys: Keys, ca: DevCa, broker: Broker) -> Enrolment:
    made = Enrolment(ca, tmp_path / "state" / "identity")
    pair = renewed(made.slots, keys, ca)
    made.slots.save_ca(ca.ca_file.read_bytes())
    made.slots.save_command_keys(ca.command_key_file.read_bytes())
    made.slots.save_cloud(Cloud(GATEWAY, "https://localhost:1", "localhost", broker.port))
    made.slots.promote(pair)
    return made


@pytest.fixture
async def at(tmp_path: Path, tpm: Swtpm, enrolment: Enrolment) -> AsyncIterator[Station]:
    identity = IdentityConfig(tcti=tpm.tcti, tpm_timeout_s=LIMIT_S)
    config = configuration(tmp_path)
    assert config.link is not None
    link = replace(config.link, connect_timeout_s=1.0)
    async with station(replace(config, identity=identity, link=link), enrolment) as running:
        await until(lambda: running.link.is_up)
        yield running


async def cut(broker: Broker) -> None:
    """End the session; the next one needs the key."""
    await asyncio.to_thread(broker.stop)
    await asyncio.to_thread(broker.start)


async def test_rotates_five_times_with_keys_that_never_leave_the_tpm(
    at: Station, enrolment: Enrolment, keys: Keys, ca: DevCa
):
    assert at.link.view(0.0)["key"] == "tpm"
    for _ in range(5):
        pair = await asyncio.to_thread(renewed, enrolment.slots, keys, ca)
        enrolment.slots.stage(pair)
        at.keeper.nudge()
        await until(lambda pair=pair: enrolment.in_use == pair.slot)

    assert at.troubles == {}
    assert at.link.view(0.0)["key_failures"] == 0


async def test_a_tpm_that_was_switched_off_and_on_is_used_again(at: Station, tpm: Swtpm, broker: Broker):
    await asyncio.to_thread(tpm.kill)
    await asyncio.sleep(0.3)
    assert at.link.is_up
    await cut(broker)
    await until(lambda: "tpm" in at.troubles)
    assert at.link.view(0.0)["key_failures"]

    await asyncio.to_thread(tpm.start)
    await until(lambda: at.link.is_up and "tpm" not in at.troubles, 30.0)
    assert at.denied == ""


async def test_a_tpm_that_was_switched_off_and_on_between_two_sessions_is_not_even_missed(
    at: Station, tpm: Swtpm, broker: Broker
):
    before = at.link.view(0.0)["sessions"]
    await asyncio.to_thread(tpm.restart)
    await cut(broker)
    await until(lambda: at.link.view(0.0)["sessions"] > before)  # being down may be too short to be seen
    await until(lambda: at.link.is_up)
    assert at.link.view(0.0)["key_failures"] == 0


async def test_no_key_stays_in_the_tpm_while_a_session_runs(at: Station, tpm: Swtpm):
    assert at.link.is_up
    assert await asyncio.to_thread(left_in, tpm) == []


async def test_a_tpm_that_hangs_costs_the_next_session_and_not_a_turn_of_the_loop(
    at: Station, tpm: Swtpm, broker: Broker
):
    loop = Loop()
    watching = asyncio.get_running_loop().create_task(loop.watch())
    await asyncio.to_thread(tpm.freeze)
    await asyncio.sleep(0.3)
    assert at.link.is_up
    await cut(broker)
    await until(lambda: "tpm" in at.troubles, 30.0)
    await asyncio.sleep(LIMIT_S)

    await asyncio.to_thread(tpm.thaw)
    await until(lambda: at.link.is_up and "tpm" not in at.troubles, 30.0)
    watching.cancel()
    assert loop.longest_s < STANDSTILL_S
    assert at.denied == ""
