"""A gateway at a hawkBit: orders, consent, what it tells of itself, when it asks."""

import pytest

from gateway.domain.update.model import State
from tests.fakes.hawkbit.actions import DistributionSet, Module, Status
from tests.fakes.hawkbit.device import Device
from tests.fakes.hawkbit.repository import NEW, Repository


async def test_an_update_is_a_success_only_when_it_is_kept(repository: Repository, device: Device):
    action = repository.assign("gw-1", NEW)
    seen: list[Status] = []

    async def during_check() -> None:
        seen.extend(action.statuses())
        assert action.active
        assert device.computer.version == "2.0"

    device.computer.during_check = during_check
    update = await device.run()
    assert update is not None
    assert update.state is State.SUCCEEDED
    assert Status.DOWNLOADED in seen
    assert Status.FINISHED not in seen
    assert (action.status, action.active) == (Status.FINISHED, False)
    assert repository.target("gw-1").installed == NEW


async def test_what_is_rolled_back_is_a_failure_with_its_reason(repository: Repository, device: Device):
    device.computer.bad = frozenset({"2.0"})
    action = repository.assign("gw-1", NEW)
    await device.run()
    assert action.status is Status.ERROR
    assert action.history[-1].code == 613
    assert action.history[-1].messages == ["rolled_back: unhealthy", "sensor kitchen is silent"]
    assert device.computer.version == "1.0"
    assert repository.target("gw-1").installed is None


async def test_what_the_metadata_do_not_name_is_a_failure(repository: Repository, device: Device):
    device.computer.unfit = frozenset({"os/reed-2.0"})
    action = repository.assign("gw-1", NEW)
    await device.run()
    assert (action.status, action.history[-1].code) == (Status.ERROR, 603)
    assert device.computer.installed == []


async def test_a_deployment_that_cannot_be_carried_out_does_not_stay_open(
    repository: Repository, device: Device
):
    action = repository.assign("gw-1", DistributionSet("other", "1", (Module("jpeg", "picture", "1"),)))
    assert await device.run() is None
    assert (action.status, action.history[-1].code) == (Status.ERROR, 602)
    assert any("reed.target" in message for message in action.history[-1].messages)


async def test_a_gateway_says_what_it_is_when_asked_and_when_that_changes(
    repository: Repository, device: Device
):
    await device.poll()
    assert repository.target("gw-1").attributes == {"reed.os": "1.0", "reed.compatible": "reed-test"}
    told = len(device.web.asked)
    await device.poll()
    assert len(device.web.asked) == told + 1
    device.computer.version = "1.1"
    await device.poll()
    assert repository.target("gw-1").attributes["reed.os"] == "1.1"


async def test_the_server_is_left_alone_for_as_long_as_it_wants(repository: Repository, device: Device):
    repository.sleep = "00:10:00"
    await device.source.order()
    polls = repository.target("gw-1").polls
    device.clock.s += 590
    device.restart()
    assert await device.source.order() is None
    assert repository.target("gw-1").polls == polls
    assert device.source.wait_s == pytest.approx(10)
    device.clock.s += 10
    await device.source.order()
    assert repository.target("gw-1").polls == polls + 1


@pytest.mark.parametrize(
    ("sleep", "wait_s"), [("00:00:00", 30), ("9999:00:00", 86_400), ("soon", 900), ("00:01:00", 60)]
)
async def test_the_pause_that_the_server_wants_is_bounded(
    repository: Repository, device: Device, sleep: str, wait_s: float
):
    repository.sleep = sleep
    await device.source.order()
    assert device.source.wait_s == pytest.approx(wait_s)
    device.source.hurry()
    assert device.source.wait_s == 0


async def test_consent_is_given_when_nothing_speaks_against_it(repository: Repository, device: Device):
    repository.confirmation = True
    action = repository.assign("gw-1", NEW)
    await device.run()
    assert action.statuses()[0] is Status.RUNNING
    assert action.status is Status.FINISHED


async def test_a_pause_denies_consent_once_and_the_action_waits(repository: Repository, device: Device):
    repository.confirmation = True
    action = repository.assign("gw-1", NEW)
    device.objection = "paused by a person at the building"
    for _ in range(3):
        assert await device.run() is None
        device.restart()
    assert [entry.messages for entry in action.history] == [["paused by a person at the building"]]
    assert action.is_waiting
    device.objection = ""
    await device.run()
    assert action.status is Status.FINISHED
