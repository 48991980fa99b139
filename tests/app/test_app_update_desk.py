"""The daemon's part in updates, with a real core and a real store."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path

import pytest

from gateway.app.clock import WallClock
from gateway.app.local import Local
from gateway.app.messages import Messages
from gateway.app.update_desk import NUDGE, TOLD_AT_ONCE, UpdateDesk
from gateway.app.update_order import KEPT_WITHDRAWALS
from gateway.domain import disruption
from gateway.domain.commands import AnswerRequest, Command, Publish, Record, Remember
from gateway.domain.core import Core
from gateway.domain.events import Event, SensorRead
from gateway.domain.model import Actor, ActorKind, Channel, Json, Reading, Request
from gateway.domain.update.asked import UpdateOrdered, UpdateWithdrawn
from gateway.domain.update.model import Kind, Order, Window
from gateway.domain.update.trouble import UPDATE_FAILED
from gateway.domain.update.words import Step
from gateway.errors import ControlError
from gateway.link.wire import Origin
from gateway.store.config import Config
from gateway.store.report import BootInfo
from gateway.store.store import Store
from tests.fakes.site import ALL_OPEN, small_site


class Office:
    """Core, store and desk as the gateway wires them; keeps what was executed."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.core = Core(small_site())
        self.done: list[Command] = []
        self.messages = Messages(store, Origin("house-7", "boot", store.epoch), WallClock())
        self.desk = UpdateDesk(
            core=self.core,
            disk=store,
            publish=self.messages.publish,
            execute=self._execute_one,
            emit=self.emit,
            folder=folder,
        )
        self.desk.recall(store.memory or {})
        self.local = Local(self.core, store, self.messages, self.emit, self.desk)
        now_s = asyncio.get_running_loop().time()
        self._execute(self.core.start(store.memory, ALL_OPEN, now_s))

    def emit(self, event: Event) -> None:
        self._execute(self.core.handle(event, asyncio.get_running_loop().time()))

    def _execute_one(self, command: Command) -> None:
        self._execute((command,))

    def _execute(self, commands: Iterable[Command]) -> None:
        for command in commands:
            self.done.append(command)
            match command:
                case Publish():
                    self.messages.publish(command)
                case Record():
                    self.store.record(command, 0.0)
                case _ if hasattr(command, "urgent"):
                    self.store.remember(command)

    def answers(self) -> list[tuple[str, str, str]]:
        return [(c.command_id, c.state, c.reason) for c in self.done if isinstance(c, AnswerRequest)]

    def records(self) -> list[Record]:
        """Journal entries about updates."""
        return [c for c in self.done if isinstance(c, Record) and c.kind.startswith("update")]

    def told(self) -> list[str]:
        """States of the messages `update`."""
        return [str(m.body["state"]) for m in self.messages.recent() if m.kind == "update"]

    async def order(self, update_id: str = "u-1", command_id: str = "command-1", **changes: object) -> None:
        request = Request(command_id, Actor(ActorKind.REMOTE, "alice"), "patch day")
        step_up = bool(changes.pop("step_up", False))
        if step_up:
            request = Request(command_id, request.actor, request.cause, may_open=True)
        self.desk.ask(UpdateOrdered(order(update_id, **changes), request))
        await self.settled()

    async def withdraw(self, update_id: str, command_id: str = "command-9") -> None:
        request = Request(command_id, Actor(ActorKind.REMOTE, "alice"))
        self.desk.ask(UpdateWithdrawn(update_id, request))
        await self.settled()

    async def report(self, state: str, update_id: str = "u-1", **changes: Json) -> None:
        on_disk = asyncio.Event()
        self.desk.report(report(state, update_id, **changes), on_disk.set)
        async with asyncio.timeout(5):
            await on_disk.wait()

    async def settled(self) -> None:
        done = asyncio.Event()
        self.store.when_settled(done.set)
        async with asyncio.timeout(5):
            await done.wait()


def order(update_id: str = "u-1", **changes: object) -> Order:
    given = {"kind": Kind.APP, "target": "app/reed_2.0.deb", "version": "2.0", "source": "cloud"} | changes
    return Order(id=update_id, actor="alice", **given)


def report(state: str, update_id: str = "u-1", **changes: Json) -> dict[str, Json]:
    return {
        "update_id": update_id,
        "kind": "app",
        "target": "app/reed_2.0.deb",
        "version": "2.0",
        "from_version": "1.9",
        "state": state,
        "code": "",
        "detail": "",
        "percent": 0,
        "waits_for": "",
        "source": "cloud",
        "actor": "alice",
    } | changes


@pytest.fixture
def open_office(tmp_path: Path) -> Callable[[], object]:
    async def opened() -> Office:
        store = await Store.open(Config(path=tmp_path / "s.sqlite"), BootInfo("boot"), lambda _report: None)
        return Office(store, tmp_path)

    return opened


@pytest.fixture
async def office(open_office: Callable[[], object]) -> AsyncIterator[Office]:
    office = await open_office()
    yield office
    await office.store.close()


async def nudged(office: Office) -> bool:
    for _ in range(200):
        if (office.folder / NUDGE).exists():
            return True
        await asyncio.sleep(0.01)
    return False


# --- orders ---------------------------------------------------------------------------------------------


async def test_an_order_is_remembered_answered_and_the_runner_is_nudged(office: Office):
    await office.order(window=Window(120, 240), deadline_s=0.0)

    assert office.answers() == [("command-1", "succeeded", "")]
    assert await nudged(office)
    assert office.desk.known()["order"] == {
        "update_id": "u-1",
        "kind": "app",
        "target": "app/reed_2.0.deb",
        "version": "2.0",
        "window": {"from_min": 120, "until_min": 240},
        "deadline_s": None,
        "downgrade": False,
        "source": "cloud",
        "actor": "alice",
    }
    assert [record.kind for record in office.records()] == ["update.ordered"]


async def test_an_answer_comes_only_once_the_order_is_on_disk(office: Office):
    office.desk.ask(UpdateOrdered(order(), Request("command-1", Actor(ActorKind.REMOTE, "alice"))))

    assert office.answers() == []
    await office.settled()
    assert office.answers() == [("command-1", "succeeded", "")]


async def test_an_order_outlives_a_restart(open_office: Callable[[], object]):
    first = await open_office()
    await first.order()
    await first.store.close()

    second = await open_office()
    assert second.desk.known()["order"]["update_id"] == "u-1"
    await second.store.close()


async def test_the_same_update_may_be_ordered_again_and_nothing_changes(office: Office):
    await office.order()
    await office.order(command_id="command-2")

    assert [state for _, state, _ in office.answers()] == ["succeeded", "succeeded"]


async def test_an_id_stands_for_one_update_for_ever(office: Office):
    await office.order()
    await office.order(command_id="command-2", version="3.0")

    assert office.answers()[-1] == ("command-2", "rejected", "bad_request")
    assert office.desk.known()["order"]["version"] == "2.0"


async def test_an_older_version_needs_a_person_who_was_verified_once_more(office: Office):
    await office.order(downgrade=True)
    await office.order(command_id="command-2", downgrade=True, step_up=True)

    assert office.answers() == [
        ("command-1", "rejected", "not_authorised"),
        ("command-2", "succeeded", ""),
    ]


async def test_an_order_that_is_withdrawn_is_gone_and_the_runner_hears_of_it(office: Office):
    await office.order()
    await office.withdraw("u-1")

    assert (office.desk.known()["order"], office.desk.known()["cancelled"]) == (None, ["u-1"])
    assert await nudged(office)


async def test_a_withdrawal_may_overtake_its_order(office: Office):
    await office.withdraw("u-1")
    await office.order()

    assert office.answers()[-1] == ("command-1", "rejected", "superseded")
    assert office.desk.known()["order"] is None


async def test_withdrawals_are_kept_in_bounded_number_and_across_restarts(open_office: Callable[[], object]):
    first = await open_office()
    for number in range(KEPT_WITHDRAWALS + 5):
        await first.withdraw(f"u-{number}", f"command-{number:03}")
    await first.store.close()

    second = await open_office()
    kept = second.desk.known()["cancelled"]
    assert (len(kept), kept[-1]) == (KEPT_WITHDRAWALS, f"u-{KEPT_WITHDRAWALS + 4}")
    await second.store.close()


async def test_an_order_is_over_when_its_update_is(office: Office):
    await office.order()
    await office.report("downloading")
    assert office.desk.known()["order"] is not None

    await office.report("succeeded")
    assert office.desk.known()["order"] is None


async def test_an_order_for_what_is_done_already_is_over_when_the_runner_says_so_again(office: Office):
    await office.order()
    await office.report("succeeded")
    await office.order(command_id="command-2")
    assert office.desk.known()["order"] is not None

    await office.report("succeeded")

    assert office.desk.known()["order"] is None
    assert office.told() == ["succeeded"]


async def test_an_order_that_the_disk_does_not_take_is_void(office: Office, monkeypatch: pytest.MonkeyPatch):
    stats = office.store.stats()
    monkeypatch.setattr(office.store, "stats", lambda: {**stats, "state": "failing"})

    await office.order()

    assert office.answers() == [("command-1", "failed", "store_unavailable")]
    assert office.desk.known()["order"] is None


async def test_a_folder_that_is_gone_costs_the_nudge_only(office: Office):
    office.desk._folder = office.folder / "gone"

    await office.order()
    await asyncio.sleep(0.05)

    assert office.answers() == [("command-1", "succeeded", "")]


# --- leases ---------------------------------------------------------------------------------------------


async def test_a_leak_holds_an_installation_up_and_says_so(office: Office):
    office.emit(SensorRead("sump", Reading("contact", wet=True)))

    lease = office.desk.lease(Step.INSTALL, None)

    assert lease["granted"] is False
    assert "zone plant is wet: sump" in lease["reasons"]


async def test_in_a_calm_building_a_lease_is_granted_and_shown(office: Office):
    lease = office.desk.lease(Step.INSTALL, None)

    assert (lease["granted"], lease["reasons"]) == (True, [])
    assert office.core.lease.holds(asyncio.get_running_loop().time())
    assert 0 < office.desk.known()["lease_left_s"] <= lease["valid_for_s"]


async def test_an_alarm_that_is_still_queued_holds_up_while_the_cloud_is_there(office: Office):
    office.store.put(Channel.ALARM, lambda _id: b"{}")

    assert office.desk.lease(Step.REBOOT, 0.0)["granted"] is False
    assert office.desk.lease(Step.DOWNLOAD, 0.0)["granted"] is True
    assert office.desk.lease(Step.REBOOT, disruption.GONE_S)["granted"] is True
    assert office.desk.lease(Step.REBOOT, None)["granted"] is True


async def test_an_alarm_that_never_leaves_holds_up_for_a_bounded_time(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gateway.app.update_desk.undelivered", _patience_of(0.05))
    office.store.put(Channel.ALARM, lambda _id: b"{}")

    assert office.desk.lease(Step.REBOOT, 0.0)["granted"] is False
    await asyncio.sleep(0.06)
    assert office.desk.lease(Step.REBOOT, 0.0)["granted"] is True


def _patience_of(longest_s: float) -> Callable[..., list[str]]:
    def undelivered(queued: int, *, gone_s: float | None, waited_s: float) -> list[str]:
        scale = disruption.UNDELIVERED_MAX_S / longest_s
        return disruption.undelivered(queued, gone_s=gone_s, waited_s=waited_s * scale)

    return undelivered


async def test_without_a_cloud_nobody_waits_for_it(office: Office):
    office.store.put(Channel.ALARM, lambda _id: b"{}")

    assert office.local.lease(Step.REBOOT)["granted"] is True

    office.local.show_link(lambda _now_s: {"state": "up", "since_s": 5.0, "denied": ""})
    assert office.local.lease(Step.REBOOT)["granted"] is False

    office.local.show_link(lambda _now_s: {"state": "down", "since_s": disruption.GONE_S, "denied": ""})
    assert office.local.lease(Step.REBOOT)["granted"] is True


async def test_the_lease_of_an_update_that_is_over_is_given_back(office: Office):
    office.desk.lease(Step.INSTALL, None)
    await office.report("rejected", "u-2", code="busy")
    assert office.core.lease.holds(asyncio.get_running_loop().time())

    await office.report("succeeded")
    assert not office.core.lease.holds(asyncio.get_running_loop().time())


# --- reports --------------------------------------------------------------------------------------------


async def test_each_state_is_a_message_and_what_is_known_is_none(office: Office):
    for state in ("accepted", "downloading", "downloading", "installing"):
        await office.report(state)

    assert office.told() == ["accepted", "downloading", "installing"]


async def test_progress_is_seen_at_once_and_told_in_steps_of_ten(office: Office):
    for percent in range(0, 101, 5):
        await office.report("downloading", percent=percent)
        assert office.desk.view()["percent"] == percent

    assert len(office.told()) == 11


async def test_a_report_is_remembered_and_not_told_twice_after_a_restart(open_office: Callable[[], object]):
    first = await open_office()
    await first.report("rolled_back", detail="sensor cellar is silent", code="unhealthy")
    await first.store.close()

    second = await open_office()
    await second.report("rolled_back", detail="sensor cellar is silent", code="unhealthy")
    assert second.told() == []
    assert second.desk.view()["state"] == "rolled_back"
    alarms = second.local.view()["alarms"]
    assert UPDATE_FAILED in [alarm["id"] for alarm in alarms]
    await second.store.close()


async def test_an_update_that_was_taken_back_becomes_a_trouble_and_a_record(office: Office):
    await office.report("rolled_back", detail="sensor cellar is silent")

    alarms = {alarm["id"]: alarm for alarm in office.local.view()["alarms"]}
    assert alarms[UPDATE_FAILED]["detail"] == "app 2.0 was taken back: sensor cellar is silent"
    [record] = office.records()
    assert (record.kind, record.subject, str(record.actor)) == ("update.state", "update/u-1", "remote:alice")


async def test_the_view_shows_an_order_before_the_runner_has_said_a_word(office: Office):
    assert office.local.view()["update"]["state"] == "none"
    await office.report("succeeded", "u-0")

    await office.order()

    shown = office.local.view()["update"]
    assert (shown["state"], shown["update_id"], shown["version"]) == ("offered", "u-1", "2.0")
    json.dumps(office.local.view())


async def test_the_headline_tells_what_is_under_way_and_nothing_else(office: Office):
    assert "update" not in office.local.headline()

    await office.report("installing")
    assert office.local.headline().endswith("; update 2.0 installing")

    await office.report("succeeded")
    assert "update" not in office.local.headline()


async def test_what_the_disk_tells_late_is_taken_unless_there_is_news(office: Office):
    await office.order("u-2", version="3.0", target="app/reed_3.0.deb")

    office.desk.recall(
        {"update/order": {"update_id": "u-1"}, "update/cancelled": ["u-0"], "update/report": 7}
    )

    assert office.desk.known()["order"]["update_id"] == "u-2"
    assert office.desk.known()["cancelled"] == ["u-0"]


async def test_what_another_version_of_the_daemon_has_remembered_breaks_nothing(
    open_office: Callable[[], object],
):
    before = await open_office()
    for key, value in (
        ("update/report", report("paused")),
        ("update/order", {"update_id": "u-9", "kind": 4}),
    ):
        before.store.remember(Remember(key, value))
    await before.settled()
    await before.store.close()

    after = await open_office()
    assert (after.desk.view()["state"], after.desk.headline()) == ("none", "")
    assert (after.desk.known()["order"], after.desk.known()["report"]) == (None, None)
    await after.report("downloading")
    assert after.told() == ["downloading"]
    await after.store.close()


async def test_a_runner_that_goes_round_in_circles_floods_neither_outbox_nor_journal(office: Office):
    for n in range(300):
        await office.report("waiting" if n % 2 else "downloading", detail=f"round {n}")

    assert len(office.told()) == TOLD_AT_ONCE
    assert len(office.records()) <= TOLD_AT_ONCE
    assert office.desk.view()["detail"] == "round 299"


async def test_an_end_that_is_not_told_is_not_taken_either_and_may_be_told_later(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    for n in range(TOLD_AT_ONCE):
        await office.report("waiting", detail=f"round {n}")
    with pytest.raises(ControlError, match="again"):
        await office.report("succeeded")
    assert office.desk.view()["state"] == "waiting"

    later_s = time.monotonic() + 120.0
    monkeypatch.setattr("gateway.app.update_desk.time.monotonic", lambda: later_s)
    await office.report("succeeded")
    assert office.told()[-1] == "succeeded"


async def test_what_was_not_told_for_its_number_is_told_with_the_next_state(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    for n in range(TOLD_AT_ONCE):
        await office.report("waiting", detail=f"round {n}")
    await office.report("installing")
    assert office.told()[-1] == "waiting"

    later_s = time.monotonic() + 120.0
    monkeypatch.setattr("gateway.app.update_desk.time.monotonic", lambda: later_s)
    await office.report("installing")
    assert office.told()[-1] == "installing"


async def test_alarms_of_weeks_ago_do_not_count_for_one_of_now(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    now_s = time.monotonic()
    monkeypatch.setattr("gateway.app.update_desk.time.monotonic", lambda: now_s)
    queued = 1
    monkeypatch.setattr(office.desk, "_queued_alarms", lambda: queued)
    assert office.desk.lease(Step.REBOOT, 0.0)["granted"] is False

    queued, now_s = 0, now_s + 900.0
    office.desk.view()  # part of every snapshot
    queued, now_s = 1, now_s + 20 * 86_400.0
    assert office.desk.lease(Step.REBOOT, 0.0)["granted"] is False


async def test_alarms_that_could_not_leave_without_a_cloud_have_not_begun_to_wait(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    now_s = time.monotonic()
    monkeypatch.setattr("gateway.app.update_desk.time.monotonic", lambda: now_s)
    monkeypatch.setattr(office.desk, "_queued_alarms", lambda: 3)
    assert office.desk.lease(Step.REBOOT, 0.0)["granted"] is False
    now_s += 7 * 86_400.0
    assert office.desk.lease(Step.REBOOT, 7 * 86_400.0)["granted"] is True

    assert office.desk.lease(Step.REBOOT, 0.0)["granted"] is False
