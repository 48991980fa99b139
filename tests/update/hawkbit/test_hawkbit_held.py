"""What hawkBit holds back or takes back: cancellations and maintenance windows."""

from gateway.domain.update.model import Cancelled, Kind, Offered, Order, State, Step
from tests.fakes.hawkbit.actions import Action, DistributionSet, Handling, Status
from tests.fakes.hawkbit.device import Device
from tests.fakes.hawkbit.repository import NEW, Repository
from tests.fakes.hawkbit.server import HawkbitServer


async def test_a_cancellation_before_anything_began_is_accepted_and_frees_the_way(
    repository: Repository, device: Device
):
    unseen = repository.assign("gw-1", DistributionSet("old", "1", NEW.modules))
    repository.cancel(unseen)
    action = repository.assign("gw-1", NEW)
    await device.run()
    assert unseen.status is Status.CANCELED
    assert action.status is Status.FINISHED


async def test_a_cancellation_while_waiting_ends_the_update(repository: Repository, device: Device):
    device.computer.wet = True
    action = repository.assign("gw-1", NEW)
    await device.run(rounds=6)
    assert device.update is not None
    assert device.update.next is Step.INSTALL
    repository.cancel(action)
    device.clock.s += 400
    await device.run()
    assert device.update.state is State.CANCELLED
    assert (action.status, action.active) == (Status.CANCELED, False)
    assert device.computer.installed == []


async def test_a_cancellation_that_comes_too_late_is_refused_and_the_end_is_told(
    repository: Repository, device: Device
):
    action = repository.assign("gw-1", NEW)

    async def during_check() -> None:
        repository.cancel(action)
        device.clock.s += 400

    device.computer.during_check = during_check
    update = await device.run()
    assert update is not None
    assert update.state is State.SUCCEEDED
    assert Status.CANCEL_REJECTED in action.statuses()
    assert action.status is Status.FINISHED


async def test_a_cancellation_seen_after_a_restart_stops_nothing_that_goes_on(
    repository: Repository, device: Device
):
    device.computer.wet = True
    action = repository.assign("gw-1", NEW)
    await device.run(rounds=6)
    repository.cancel(action)
    device.restart()
    assert await device.poll() is None
    # nobody has said yes while the update may still go on
    assert action.status is Status.CANCELING
    assert device.update is not None
    assert await device.source.cancelled(device.update.order.id)


async def test_an_update_cancelled_at_the_gateway_is_a_failure_there(repository: Repository, device: Device):
    device.computer.wet = True
    action = repository.assign("gw-1", NEW)
    await device.run(rounds=6)
    await device.handle(Cancelled("by a person at the building"))
    assert (action.status, action.history[-1].code) == (Status.ERROR, 617)


async def test_outside_the_servers_window_it_is_downloaded_and_waits(repository: Repository, device: Device):
    action = repository.assign("gw-1", NEW)
    action.window = "unavailable"
    await device.run(rounds=8)
    assert device.update is not None
    assert (device.update.state, device.update.next) == (State.WAITING, Step.INSTALL)
    assert "maintenance window" in device.update.detail
    assert device.computer.installed == []
    action.window = "available"
    device.clock.s += 400
    await device.run()
    assert action.status is Status.FINISHED


async def test_a_server_that_cannot_be_asked_keeps_its_window_closed(
    repository: Repository, device: Device, server: HawkbitServer
):
    action = repository.assign("gw-1", NEW)
    action.window = "unavailable"
    await device.run(rounds=8)
    device.restart()
    action.window = "available"
    assert device.update is not None
    server.troubles.next = [503]
    lease = await device._guard.lease(Step.INSTALL)
    assert not lease.granted
    assert "503" in lease.reasons[0]


async def test_an_update_without_a_window_needs_no_server_to_go_on(
    repository: Repository, device: Device, server: HawkbitServer
):
    device.computer.wet = True
    repository.assign("gw-1", NEW)
    await device.run(rounds=6)
    device.restart()
    server.troubles.next = [503] * 5
    device.computer.wet = False
    assert (await device._guard.lease(Step.INSTALL)).granted


async def test_what_is_only_to_be_downloaded_is_not_installed(repository: Repository, device: Device):
    action = repository.assign("gw-1", NEW, Handling.DOWNLOAD_ONLY)
    await device.run(rounds=8)
    assert (action.status, action.active) == (Status.DOWNLOADED, False)
    device.clock.s += 400
    await device.run()
    assert device.update is not None
    assert device.update.state is State.CANCELLED
    assert device.computer.installed == []


async def test_what_another_source_has_under_way_is_no_failure_of_hawkbits(
    repository: Repository, device: Device
):
    device.computer.wet = True
    action = repository.assign("gw-1", NEW)
    order = Order("cloud-1", Kind.APP, "app/x", "3.0", source="cloud")
    await device.handle(Offered(order, "1.0"))
    assert await device.poll() is None
    assert action.active
    await device.handle(Cancelled("enough"))
    assert await device.poll() is not None


async def test_no_window_keeps_a_gateway_in_a_system_that_failed(repository: Repository, device: Device):
    device.computer.bad = frozenset({"2.0"})
    action = repository.assign("gw-1", NEW)
    action.window = "available"

    async def during_check() -> None:
        action.window = "unavailable"
        device.clock.s += 400

    device.computer.during_check = during_check
    before_s = device.clock.s
    await device.run()
    # the timer's hour, and what the story takes; nobody has waited for a window
    assert device.clock.s - before_s < 3600 + 400 + 60
    assert device.computer.version == "1.0"
    assert action.status is Status.ERROR


async def test_an_action_that_the_server_has_closed_is_not_fetched_again(
    repository: Repository, device: Device
):
    device.computer.wet = True
    action = repository.assign("gw-1", NEW)
    await device.run(rounds=6)
    action.active, action.status = False, Status.CANCELED
    entries = len(action.history)
    device.clock.s += 400
    await device.run()
    assert device.update is not None
    assert device.update.state is State.CANCELLED
    assert action.status is Status.CANCELED
    assert Status.RETRIEVED not in action.statuses()[entries:]


async def test_an_action_behind_another_one_goes_on(repository: Repository, device: Device):
    device.computer.wet = True
    action = repository.assign("gw-1", NEW)
    await device.run(rounds=6)
    # with several assignments at a time, the server shows the weightiest only
    repository.actions[0] = Action(0, "gw-1", DistributionSet("urgent", "1", NEW.modules))
    device.clock.s += 400
    assert device.update is not None
    assert not await device.source.cancelled(device.update.order.id)
    assert await device.poll() is None
    assert action.active
