"""A rollout of five gateways, each at the server with its own certificate, in groups with thresholds."""

import asyncio
from pathlib import Path

import pytest

from gateway.domain.update.model import State
from tests.fakes.authority import Authority
from tests.fakes.hawkbit.actions import Status
from tests.fakes.hawkbit.device import Computer, Device
from tests.fakes.hawkbit.repository import NEW
from tests.fakes.hawkbit.rollouts import Rollout
from tests.fakes.hawkbit.server import HawkbitServer
from tests.fakes.hawkbit.web import PlainWeb

NAMES = tuple(f"gw-{number}" for number in range(1, 6))


@pytest.fixture
def fleet(server: HawkbitServer, authority: Authority, tmp_path: Path) -> dict[str, Device]:
    return {
        name: Device(
            PlainWeb(server.url, *authority.files(name), authority.home.roots_file),
            name,
            tmp_path,
            Computer(),
        )
        for name in NAMES
    }


@pytest.fixture
def rollout(server: HawkbitServer, fleet: dict[str, Device]) -> Rollout:
    """Three gateways first, then two; more than half of a group in error pauses, all of it goes on."""
    made = Rollout(server.repository, success_percent=100, error_percent=50)
    made.add(NEW, *NAMES[:3])
    made.add(NEW, *NAMES[3:])
    return made


async def everybody_asks(fleet: dict[str, Device], rollout: Rollout) -> None:
    """Let every gateway's timer fire once, all at the same time, and the server's scheduler after each."""

    async def ask(device: Device) -> None:
        await device.run()
        rollout.tick()

    async with asyncio.TaskGroup() as group:
        for device in fleet.values():
            group.create_task(ask(device))


async def test_failures_over_the_threshold_pause_the_rollout_and_leave_the_others_untouched(
    fleet: dict[str, Device], rollout: Rollout
):
    bad = frozenset({"2.0"})
    fleet["gw-1"].computer.bad = fleet["gw-3"].computer.bad = bad
    rollout.start()
    for _ in range(3):
        await everybody_asks(fleet, rollout)
    first, second = rollout.groups
    assert rollout.status == "PAUSED"
    assert [action.status for action in first.actions] == [Status.ERROR, Status.FINISHED, Status.ERROR]
    assert [action.status for action in second.actions] == [Status.SCHEDULED, Status.SCHEDULED]
    versions = [device.computer.version for device in fleet.values()]
    assert versions == ["1.0", "2.0", "1.0", "1.0", "1.0"]
    assert [device.computer.installed for device in fleet.values()] == [["2.0"]] * 3 + [[]] * 2
    states = [device.update and device.update.state for device in fleet.values()]
    assert states == [State.ROLLED_BACK, State.SUCCEEDED, State.ROLLED_BACK, None, None]


async def test_the_next_group_begins_when_the_first_has_kept_its_update_and_not_before(
    fleet: dict[str, Device], rollout: Rollout
):
    begun: list[str] = []

    async def during_check() -> None:
        rollout.tick()
        begun.append(rollout.groups[1].status)

    for name in NAMES[:3]:
        fleet[name].computer.during_check = during_check
    rollout.start()
    await everybody_asks(fleet, rollout)
    assert begun == ["SCHEDULED"] * 3
    assert rollout.groups[1].status == "RUNNING"
    await everybody_asks(fleet, rollout)
    assert rollout.status == "FINISHED"
    assert all(device.computer.version == "2.0" for device in fleet.values())


async def test_failures_under_the_threshold_stop_nobody(fleet: dict[str, Device], rollout: Rollout):
    fleet["gw-2"].computer.bad = frozenset({"2.0"})
    rollout.start()
    for _ in range(2):
        await everybody_asks(fleet, rollout)
    assert rollout.status == "FINISHED"
    assert [device.computer.version for device in fleet.values()] == ["2.0", "1.0", "2.0", "2.0", "2.0"]


async def test_a_gateway_that_cannot_be_heard_holds_the_rollout_and_counts_when_it_is_back(
    fleet: dict[str, Device], rollout: Rollout
):
    away = fleet.pop("gw-3")
    rollout.start()
    for _ in range(2):
        await everybody_asks(fleet, rollout)
    assert rollout.groups[1].status == "SCHEDULED"
    fleet["gw-3"] = away
    for _ in range(2):
        await everybody_asks(fleet, rollout)
    assert rollout.status == "FINISHED"
