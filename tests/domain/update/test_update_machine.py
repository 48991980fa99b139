from dataclasses import replace

import pytest

from gateway.domain.update.machine import MOST_CHANGES, step
from gateway.domain.update.model import (
    Abort,
    AskLease,
    Cancelled,
    CheckHealth,
    Code,
    Commit,
    Done,
    Failed,
    Fetch,
    Install,
    Judged,
    Kind,
    Leased,
    Offered,
    Order,
    Progressed,
    Reboot,
    Report,
    Restore,
    Resumed,
    State,
    Step,
    Ticked,
    Update,
    UpdateCommand,
    UpdateEvent,
)


class Story:
    """One update and all that was wanted for it."""

    def __init__(self, kind: Kind, **order: object) -> None:
        self.now_s = 100.0
        self.update: Update | None = None
        self.commands: list[UpdateCommand] = []
        self.order = replace(Order("u1", kind, f"{kind}/2", "2"), **order)
        self.happens(Offered(self.order, from_version="1"))

    def happens(self, *events: UpdateEvent, after_s: float = 1.0) -> "Story":
        for event in events:
            self.now_s += after_s
            self.update, self.commands = step(self.update, event, self.now_s)
        return self

    def granted(self, asked: Step) -> "Story":
        return self.happens(Leased(asked, granted=True))

    def installed(self) -> "Story":
        self.granted(Step.DOWNLOAD).happens(Done())
        return self.granted(Step.INSTALL).happens(Done())

    def on_trial(self) -> "Story":
        self.installed().granted(Step.REBOOT)
        return self.restarts(version="2", trial=True)

    def restarts(
        self, version: str = "1", *, trial: bool = False, pending: bool = False, up_s: float = 0.0
    ) -> "Story":
        self.now_s = up_s
        return self.happens(Resumed(rebooted=True, version=version, trial=trial, pending=pending))

    @property
    def now(self) -> Update:
        assert self.update is not None
        return self.update

    @property
    def work(self) -> UpdateCommand | None:
        return next((command for command in self.commands if command != Report()), None)

    @property
    def outcome(self) -> tuple[State, str]:
        return self.now.state, self.now.code


def test_a_system_goes_from_offer_to_success_through_trial_and_commit():
    story = Story(Kind.OS)
    seen = [story.now.state]
    for event, work in (
        (Leased(Step.DOWNLOAD, True), Fetch()),
        (Done(), AskLease(Step.INSTALL)),
        (Leased(Step.INSTALL, True), Install()),
        (Done(), AskLease(Step.REBOOT)),
        (Leased(Step.REBOOT, True), Reboot()),
        (Resumed(rebooted=True, version="2", trial=True), CheckHealth()),
        (Judged(healthy=True), Commit()),
        (Done(), None),
    ):
        story.happens(event)
        seen.append(story.now.state)
        assert story.work == work

    assert seen == [
        State.ACCEPTED,
        State.DOWNLOADING,
        State.WAITING,
        State.INSTALLING,
        State.WAITING,
        State.REBOOTING,
        State.VERIFYING,
        State.VERIFYING,
        State.SUCCEEDED,
    ]


@pytest.mark.parametrize("kind", [Kind.APP, Kind.CONFIG])
def test_packages_and_configuration_are_verified_without_a_reboot(kind: Kind):
    story = Story(kind).installed()

    assert (story.now.state, story.work) == (State.VERIFYING, CheckHealth())
    story.happens(Judged(healthy=True), Done())
    assert story.outcome == (State.SUCCEEDED, "")


def test_success_is_not_said_before_the_commit_is_done():
    story = Story(Kind.APP).installed().happens(Judged(healthy=True))

    assert story.now.state is State.VERIFYING
    assert Story(Kind.APP).installed().happens(Done()).now.state is State.VERIFYING


def test_the_same_id_is_the_same_update_for_ever():
    story = Story(Kind.APP).installed().happens(Judged(healthy=True), Done())
    before = story.now

    story.happens(Offered(story.order, from_version="2"))

    assert (story.now, story.commands) == (before, [])


def test_another_order_changes_nothing_while_one_is_under_way():
    story = Story(Kind.APP)
    before = story.now
    story.happens(Offered(replace(story.order, id="u2")))
    assert (story.now, story.commands) == (before, [])


def test_what_cannot_be_taken_at_all_is_rejected_with_the_reason():
    refused = Offered(Order("u", Kind.OS, "os/2", "2"), refuse=Code.UNSUPPORTED, detail="one slot only")
    update, commands = step(None, refused, 0.0)
    assert update is not None
    assert (update.state, update.code, update.detail) == (State.REJECTED, "unsupported", "one slot only")
    assert commands == [Report()]


def test_a_leak_pauses_the_download_and_its_end_lets_it_go_on():
    story = Story(Kind.OS).granted(Step.DOWNLOAD)
    story.happens(Leased(Step.DOWNLOAD, granted=False, reasons=("leak in the kitchen",)))
    assert (story.now.state, story.now.detail) == (State.WAITING, "leak in the kitchen")
    assert story.work == AskLease(Step.DOWNLOAD, 5.0)

    assert story.granted(Step.DOWNLOAD).work == Fetch()


def test_waits_for_a_lease_grow_to_one_minute():
    story = Story(Kind.OS)
    waits_s = []
    for _ in range(6):
        story.happens(Leased(Step.DOWNLOAD, granted=False, reasons=("a valve moves",)))
        assert isinstance(story.work, AskLease)
        waits_s.append(story.work.wait_s)
    assert waits_s == [5, 10, 20, 40, 60, 60]


def test_the_same_reason_is_told_once():
    story = Story(Kind.OS)
    told = [
        Report() in story.happens(Leased(Step.DOWNLOAD, granted=False, reasons=("a valve moves",))).commands
        for _ in range(3)
    ]
    assert told == [True, False, False]


def test_a_lease_for_the_download_does_not_let_install():
    story = Story(Kind.OS).granted(Step.DOWNLOAD).happens(Done())
    assert story.granted(Step.DOWNLOAD).now.state is State.WAITING


def test_a_lost_network_is_tried_again_ever_later_but_at_least_hourly():
    story = Story(Kind.APP)
    waits_s = []
    for _ in range(9):
        story.granted(Step.DOWNLOAD).happens(Failed(Code.UNREACHABLE, "no route", passing=True))
        assert isinstance(story.work, AskLease)
        waits_s.append(story.work.wait_s)
    assert waits_s == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert story.now.detail == "no route"


def test_a_bad_network_for_days_is_no_loop():
    story = Story(Kind.APP)
    for _ in range(2 * MOST_CHANGES):
        story.granted(Step.DOWNLOAD).happens(Failed(Code.UNREACHABLE, "no route", passing=True))
    assert story.now.state is State.WAITING


@pytest.mark.parametrize("code", [Code.UNTRUSTED, Code.OLDER, Code.EXPIRED, Code.INCOMPATIBLE, Code.UNSAFE])
def test_what_is_refused_before_anything_is_written_is_rejected(code: Code):
    fetched = Story(Kind.OS).granted(Step.DOWNLOAD).happens(Failed(code, "no"))
    assert fetched.outcome == (State.REJECTED, code)
    installing = Story(Kind.APP).granted(Step.DOWNLOAD).happens(Done()).granted(Step.INSTALL)
    assert installing.happens(Failed(code, "no")).outcome == (State.REJECTED, code)


def test_a_system_that_fails_to_install_is_put_aside_and_nothing_restarts():
    story = Story(Kind.OS).granted(Step.DOWNLOAD).happens(Done()).granted(Step.INSTALL)
    assert story.happens(Failed(Code.INSTALL_FAILED, "write error")).work == Abort()
    assert story.happens(Done()).outcome == (State.FAILED, "install_failed")


def test_packages_that_fail_to_install_give_way_to_the_former_ones():
    story = Story(Kind.APP).granted(Step.DOWNLOAD).happens(Done()).granted(Step.INSTALL)
    assert story.happens(Failed(Code.INSTALL_FAILED, "postinst")).work == Restore()
    assert story.happens(Done()).outcome == (State.FAILED, "install_failed")


@pytest.mark.parametrize("kind", list(Kind))
def test_a_power_cut_during_the_installation_is_no_failure_until_the_third(kind: Kind):
    story = Story(kind).granted(Step.DOWNLOAD).happens(Done())
    for _ in range(2):
        story.granted(Step.INSTALL).restarts(pending=True)
        assert story.work == AskLease(Step.INSTALL)
    story.granted(Step.INSTALL).restarts(pending=True).happens(Done())
    assert story.outcome == (State.FAILED, "interrupted")


def test_packages_whose_installation_ended_unheard_are_verified():
    story = Story(Kind.APP).granted(Step.DOWNLOAD).happens(Done()).granted(Step.INSTALL)
    story.happens(Resumed(rebooted=False, version="2"))
    assert story.work == CheckHealth()


def test_a_system_that_did_not_start_is_tried_once_more():
    story = Story(Kind.OS).installed().granted(Step.REBOOT).restarts(version="1")
    assert (story.work, story.now.code) == (AskLease(Step.REBOOT), "not_started")

    story.granted(Step.REBOOT).restarts(version="1")
    assert story.work == Abort()
    assert story.happens(Done()).outcome == (State.ROLLED_BACK, "not_started")


def test_a_power_cut_in_the_trial_is_no_verdict():
    story = Story(Kind.OS).on_trial().restarts(version="1")
    assert story.work == AskLease(Step.REBOOT)
    story.granted(Step.REBOOT).restarts(version="2", trial=True).happens(Judged(healthy=True), Done())
    assert story.outcome == (State.SUCCEEDED, "")


def test_the_second_fall_back_from_a_trial_is_a_verdict():
    story = Story(Kind.OS).on_trial().restarts(version="1").granted(Step.REBOOT)
    story.restarts(version="2", trial=True).restarts(version="1").happens(Done())
    assert story.outcome == (State.ROLLED_BACK, "unhealthy")


def test_an_unhealthy_system_is_left_and_said_so_from_the_former_one():
    story = Story(Kind.OS).on_trial().happens(Judged(healthy=False, missed=("sensor sump is silent",)))
    assert (story.now.state, story.work) == (State.ROLLING_BACK, Restore())
    assert story.happens(Done()).work == AskLease(Step.REBOOT)
    assert story.granted(Step.REBOOT).work == Reboot()
    assert not story.now.state.final

    story.restarts(version="1")
    assert story.outcome == (State.ROLLED_BACK, "unhealthy")
    assert story.now.detail == "sensor sump is silent"


def test_a_bad_trial_is_left_only_when_no_valve_moves_but_not_never():
    story = Story(Kind.OS).on_trial().happens(Judged(healthy=False, missed=("x",)), Done())
    moving = Leased(Step.REBOOT, granted=False, reasons=("a valve moves",))
    assert story.happens(moving).work == AskLease(Step.REBOOT, 10.0)
    assert story.happens(moving, after_s=601.0).work == Reboot()


def test_without_a_core_a_bad_trial_is_left_at_once():
    story = Story(Kind.OS).on_trial().happens(Judged(healthy=False, missed=("no daemon",)), Done())
    assert story.happens(Leased(Step.REBOOT, granted=False, dead=True)).work == Reboot()


@pytest.mark.parametrize("kind", [Kind.APP, Kind.CONFIG])
def test_an_unhealthy_version_gives_way_to_the_former_one(kind: Kind):
    story = Story(kind).installed().happens(Judged(healthy=False, missed=("crashes",)))
    assert story.work == Restore()
    assert story.happens(Done()).outcome == (State.ROLLED_BACK, "unhealthy")


def test_packages_that_were_restored_behind_our_back_are_rolled_back():
    story = Story(Kind.APP).installed().restarts(version="1")
    assert story.outcome == (State.ROLLED_BACK, "unhealthy")


def test_a_commit_that_does_not_succeed_is_no_success():
    story = Story(Kind.OS).on_trial()
    for _ in range(3):
        story.happens(Judged(healthy=True), Failed(Code.NO_SPACE, "disk full", passing=True))
    assert story.work == Restore()


def test_a_crash_between_commit_and_its_record_checks_and_commits_again():
    story = Story(Kind.OS).on_trial().happens(Judged(healthy=True)).restarts(version="2", trial=False)
    assert story.work == CheckHealth()
    story.happens(Judged(healthy=True), Done())
    assert story.outcome == (State.SUCCEEDED, "")


def test_it_may_be_cancelled_while_nothing_is_changed():
    for prepare in (lambda s: s, lambda s: s.granted(Step.DOWNLOAD), lambda s: s.happens(Ticked())):
        story = prepare(Story(Kind.APP)).happens(Cancelled("not today"))
        assert (story.outcome, story.now.detail) == ((State.CANCELLED, "cancelled"), "not today")


def test_an_installed_system_that_has_not_started_may_still_be_cancelled():
    story = Story(Kind.OS).installed().happens(Cancelled())
    assert story.work == Abort()
    assert story.happens(Done()).outcome == (State.CANCELLED, "cancelled")


def test_it_is_too_late_to_cancel_what_is_being_installed_and_that_is_said_once():
    story = Story(Kind.APP).granted(Step.DOWNLOAD).happens(Done()).granted(Step.INSTALL)
    assert story.happens(Cancelled()).commands == [Report()]
    assert (story.now.state, story.now.detail) == (State.INSTALLING, "too late to cancel")
    assert story.happens(Cancelled()).commands == []


def test_the_deadline_counts_over_reboots_without_a_clock():
    story = Story(Kind.APP, deadline_s=1000.0)
    story.happens(Ticked(), after_s=600.0).restarts().happens(Ticked(), after_s=300.0)
    assert story.now.state is State.WAITING
    story.happens(Ticked(), after_s=100.0)
    assert story.outcome == (State.FAILED, "timeout")


def test_the_time_from_the_start_of_the_machine_to_that_of_the_runner_counts():
    story = Story(Kind.APP, deadline_s=1000.0)
    story.happens(Ticked(), after_s=600.0).restarts(up_s=350.0).happens(Ticked(), after_s=100.0)
    assert story.outcome == (State.FAILED, "timeout")


def test_what_an_update_waits_for_is_not_told_again_after_a_start_of_the_runner():
    wet = Leased(Step.DOWNLOAD, granted=False, reasons=("zone cellar is wet",))
    story = Story(Kind.APP).happens(wet).restarts()
    assert story.commands == [AskLease(Step.DOWNLOAD)]
    assert Report() not in story.happens(wet).commands


def test_a_machine_that_does_not_leave_a_bad_system_is_given_up_in_the_end():
    story = Story(Kind.OS).on_trial().happens(Judged(healthy=False, missed=("x",)))
    for _ in range(4):
        assert story.now.state is State.ROLLING_BACK
        story.happens(Done()).granted(Step.REBOOT).restarts(version="2", trial=True)
    assert story.now.state is State.FAILED
    assert "does not leave it" in story.now.detail


def test_the_deadline_undoes_a_system_that_waits_for_its_reboot():
    story = Story(Kind.OS, deadline_s=1000.0).installed().happens(Ticked(), after_s=2000.0)
    assert story.work == Abort()
    assert story.happens(Done()).outcome == (State.FAILED, "timeout")


def test_the_deadline_does_not_cut_into_an_installation_or_its_verdict():
    story = Story(Kind.APP, deadline_s=1000.0).granted(Step.DOWNLOAD).happens(Done()).granted(Step.INSTALL)
    story.happens(Ticked(), after_s=2000.0)
    assert story.now.state is State.INSTALLING
    story.happens(Done(), Ticked(), Judged(healthy=True), Done())
    assert story.outcome == (State.SUCCEEDED, "")


def test_a_system_nobody_can_judge_is_left():
    assert Story(Kind.OS).on_trial().happens(Ticked(), after_s=8000.0).work == Restore()


def test_a_loop_is_broken_and_leaves_nothing_behind():
    story = Story(Kind.OS).granted(Step.DOWNLOAD).happens(Done())
    for _ in range(MOST_CHANGES):
        story.granted(Step.INSTALL).happens(Failed(Code.NO_SPACE, "full", passing=True))
    assert story.outcome == (State.FAILED, "loop")


def test_the_version_before_needs_no_download():
    story = Story(Kind.APP, target="")
    assert story.work == AskLease(Step.INSTALL)
    story.granted(Step.INSTALL).happens(Failed(Code.UNREACHABLE, "?", passing=True))
    assert story.work == AskLease(Step.INSTALL, 30.0)


def test_a_target_that_has_left_the_spool_is_fetched_again():
    story = Story(Kind.APP).granted(Step.DOWNLOAD).happens(Done()).granted(Step.INSTALL)
    story.happens(Failed(Code.UNREACHABLE, "it has not been fetched", passing=True))
    assert story.work == AskLease(Step.DOWNLOAD, 30.0)


def test_progress_is_told_in_steps_of_ten_percent():
    story = Story(Kind.OS).granted(Step.DOWNLOAD)
    told = [percent for percent in range(101) if story.happens(Progressed(percent)).commands]
    assert told == list(range(10, 101, 10))
