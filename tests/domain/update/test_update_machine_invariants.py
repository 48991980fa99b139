"""Arbitrary events against one update of each kind: what must hold whatever happens, in any order."""

from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.domain.update.machine import step
from gateway.domain.update.model import (
    AskLease,
    Cancelled,
    Code,
    Commit,
    Done,
    Failed,
    Install,
    Judged,
    Kind,
    Leased,
    Offered,
    Order,
    Progressed,
    Reboot,
    Resumed,
    State,
    Step,
    Ticked,
    Update,
    UpdateCommand,
    UpdateEvent,
)

REASONS = ("a leak",)


class AnyUpdate(RuleBasedStateMachine):
    """Whatever happens to one update."""

    kind: ClassVar[Kind]

    @initialize(deadline_s=st.sampled_from([1000.0, 604_800.0]), path=st.sampled_from(["x/2", ""]))
    def begin(self, deadline_s: float, path: str) -> None:
        self.now_s = 10.0
        self.update: Update | None = None
        self.was_healthy = self.committing = False
        self.happens(Offered(Order("u", self.kind, path, "2", deadline_s=deadline_s), from_version="1"))

    def happens(self, event: UpdateEvent, after_s: float = 1.0) -> list[UpdateCommand]:
        self.now_s += after_s
        before = self.update
        self.update, commands = step(before, event, self.now_s)
        work = [command for command in commands if type(command).__name__ != "Report"]
        assert len(work) <= 1
        for command in work:
            self.check(command, event, before)
        if self.update is not None and self.update.state is State.SUCCEEDED and self.update is not before:
            assert event == Done()
            assert self.committing
        if work:
            self.committing = isinstance(work[0], Commit)
        return work

    def check(self, command: UpdateCommand, event: UpdateEvent, before: Update | None) -> None:
        match command:
            case Install():
                assert event == Leased(Step.INSTALL, granted=True)
            case Reboot() if before is not None and before.state is not State.ROLLING_BACK:
                assert event == Leased(Step.REBOOT, granted=True)
            case Reboot():
                assert isinstance(event, Leased)
                assert event.granted or event.dead or before.in_state_s + 1000 > 600
            case Commit():
                assert event == Judged(healthy=True)

    # --- what happens -------------------------------------------------------------------------------

    @rule(asked=st.sampled_from(Step), granted=st.booleans(), dead=st.booleans())
    def lease(self, asked: Step, granted: bool, dead: bool) -> None:
        self.happens(Leased(asked, granted, () if granted else REASONS, dead=dead and not granted))

    @precondition(lambda self: self.update.doing == "ask")
    @rule()
    def the_lease_that_was_asked_for(self) -> None:
        rolls_back = self.update.state is State.ROLLING_BACK
        self.happens(Leased(Step.REBOOT if rolls_back else self.update.next, granted=True))

    @rule()
    def done(self) -> None:
        self.happens(Done())

    @rule(code=st.sampled_from(Code), passing=st.booleans())
    def failed(self, code: Code, passing: bool) -> None:
        self.happens(Failed(code, "why", passing=passing))

    @rule(healthy=st.booleans())
    def judged(self, healthy: bool) -> None:
        self.happens(Judged(healthy))

    @rule(percent=st.integers(-5, 200))
    def progressed(self, percent: int) -> None:
        self.happens(Progressed(percent))

    @rule()
    def cancelled(self) -> None:
        self.happens(Cancelled())

    @rule(after_s=st.sampled_from([0.0, 15.0, 700.0]))
    def ticked(self, after_s: float) -> None:
        self.happens(Ticked(), after_s)

    @rule(
        rebooted=st.booleans(),
        version=st.sampled_from(["", "1", "2", "3"]),
        trial=st.booleans(),
        pending=st.booleans(),
    )
    def resumed(self, rebooted: bool, version: str, trial: bool, pending: bool) -> None:
        if rebooted:
            self.now_s = 0.0
        self.happens(Resumed(rebooted, version, trial, pending))

    # --- what holds ---------------------------------------------------------------------------------

    @invariant()
    def what_is_final_stays(self) -> None:
        if getattr(self, "update", None) is not None and self.update.state.final:
            before = self.update
            for event in (Done(), Ticked(), Cancelled(), Offered(before.order)):
                assert step(before, event, self.now_s + 1) == (before, [])

    @invariant()
    def what_is_not_final_has_somebody_at_work(self) -> None:
        if getattr(self, "update", None) is not None:
            assert bool(self.update.doing) != self.update.state.final

    def teardown(self) -> None:
        """It ends by itself when only time passes, and so it does after a crash with a helpful world."""
        if getattr(self, "update", None) is None:
            return
        crashed, now_s = self.update, self.now_s
        for _ in range(5000):
            if self.update.state.final:
                break
            # nobody answers, but for one who lets us look again
            self.happens(Ticked(), 300.0)
        assert self.update.state.final
        self.update, self.now_s = crashed, now_s
        self.comes_back()

    def comes_back(self) -> None:
        work: list[UpdateCommand] = self.happens(Resumed(rebooted=True, version="1"), -self.now_s)
        for _ in range(200):
            if self.update.state.final:
                return
            match work[0]:
                case AskLease(asked):
                    work = self.happens(Leased(asked, granted=True))
                case Reboot():
                    away = self.update.state is State.ROLLING_BACK
                    self.now_s = 0.0
                    work = self.happens(Resumed(True, "1" if away else "2", trial=not away))
                case command if type(command).__name__ == "CheckHealth":
                    work = self.happens(Judged(healthy=True))
                case _:
                    work = self.happens(Done())
        raise AssertionError(f"goes round in circles: {self.update}")


class AnySystem(AnyUpdate):
    kind = Kind.OS


class AnyPackages(AnyUpdate):
    kind = Kind.APP


class AnyConfiguration(AnyUpdate):
    kind = Kind.CONFIG


PROFILE = settings(max_examples=100, stateful_step_count=40, deadline=None)
AnySystem.TestCase.settings = PROFILE
AnyPackages.TestCase.settings = PROFILE
AnyConfiguration.TestCase.settings = PROFILE
TestAnySystem = AnySystem.TestCase
TestAnyPackages = AnyPackages.TestCase
TestAnyConfiguration = AnyConfiguration.TestCase
