"""Arbitrary events against one valve of each kind; the rig checks what holds for every command."""

from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.domain.commands import SetCoil
from gateway.domain.model import Coil, Position
from gateway.domain.site import ValveKind
from gateway.domain.valve.machine import ValveState
from tests.fakes.valve_rig import BOTH, LEAK, Rig, spec

SWITCHES = st.sampled_from([frozenset[str](), frozenset({"open"}), frozenset({"closed"}), BOTH])
ENDS = st.sampled_from(list(Position))
COILS = st.sampled_from(list(Coil))
SOON = st.sampled_from([0.01, 0.05, 0.3, 0.5, 1.0])
LATER = st.sampled_from([2.0, 5.0, 10.0, 40.0, 400.0])


class AnyValve(RuleBasedStateMachine):
    """Whatever happens to one valve."""

    kind: ClassVar[ValveKind]

    @initialize(switches=SWITCHES, opening=st.sampled_from([0.0, 0.4, 1.0]), quick=st.booleans())
    def begin(self, switches: frozenset[str], opening: float, quick: bool) -> None:
        self.rig = Rig(spec(self.kind, switches), opening, 0.05 if quick else 8.0)
        self.may_open = False
        self.seen = 0
        self.check_opening()

    # --- what happens -------------------------------------------------------------------------------

    @rule()
    def open(self) -> None:
        self.may_open = True
        self.rig.drive(Position.OPEN)

    @rule()
    def leak(self) -> None:
        self.check_opening()
        self.may_open = False
        valve = self.rig.valve
        held = valve.confirmed and valve.is_held(Position.CLOSED)
        done = valve.state is ValveState.CLOSED and held
        before = len(self.rig.log)
        self.rig.drive(Position.CLOSED, LEAK)
        said = [e for e in self.rig.log[before:] if isinstance(e, SetCoil)]
        if valve.state is not ValveState.OUT_OF_SERVICE and not done:
            self.check_closing(said)

    def check_closing(self, said: list[SetCoil]) -> None:
        """The closing output is set in this call, or the opening one is off and closing follows."""
        set_now = any(command.coil is Coil.CLOSE and command.energised for command in said)
        cut_now = any(command.coil is Coil.OPEN and not command.energised for command in said)
        coasting = self.kind is ValveKind.LATCHING and self.rig.state is ValveState.CLOSING
        assert set_now or cut_now or coasting
        assert Coil.OPEN not in self.rig.valve.coils

    @rule()
    def exercise(self) -> None:
        self.check_opening()
        was_open = self.rig.state is ValveState.OPEN
        self.rig.exercise()
        self.may_open = self.may_open or was_open

    @rule()
    def lock_out(self) -> None:
        self.check_opening()
        self.may_open = False
        self.rig.lock_out()

    @rule()
    def unlock(self) -> None:
        self.rig.unlock()

    @rule()
    def restart(self) -> None:
        self.check_opening()
        self.may_open = False
        self.rig.restart()

    @rule(duration_s=SOON)
    def wait_a_moment(self, duration_s: float) -> None:
        self.rig.wait(duration_s)

    @rule(duration_s=LATER)
    def wait(self, duration_s: float) -> None:
        self.rig.wait(duration_s)

    @rule(opening=st.sampled_from([0.0, 0.5, 1.0]))
    def turn_by_hand(self, opening: float) -> None:
        self.rig.turn_by_hand(opening)

    @rule(stalled=st.booleans())
    def stall(self, stalled: bool) -> None:
        self.rig.stalled = stalled

    @rule(end=ENDS, made=st.sampled_from([True, False, None]))
    def stick_switch(self, end: Position, made: bool | None) -> None:
        self.rig.stuck.pop(end, None)
        if made is not None:
            self.rig.stuck[end] = made
        self.rig.turn_by_hand(self.rig.opening)

    @rule(coil=COILS)
    def refuse(self, coil: Coil) -> None:
        self.rig.refuse(coil)

    @rule()
    def repair(self) -> None:
        self.rig.refuse()

    @rule()
    def late_line_failure(self) -> None:
        self.rig.fail_coil()

    # --- what holds ---------------------------------------------------------------------------------

    @invariant()
    def check_opening(self) -> None:
        """Nothing but a wish to open or an exercise energises towards open."""
        if not hasattr(self, "rig"):
            return
        fresh = self.rig.log[self.seen :]
        self.seen = len(self.rig.log)
        opened = any(isinstance(e, SetCoil) and e.coil is Coil.OPEN and e.energised for e in fresh)
        assert self.may_open or not opened
        if self.rig.state is ValveState.FAULT:
            self.may_open = False

    @invariant()
    def at_rest_no_motor_runs(self) -> None:
        if self.kind is not ValveKind.SPRING_RETURN and self.rig.valve.move is None:
            assert self.rig.valve.coils == frozenset()

    @invariant()
    def one_switch_never_reads_as_the_other_end(self) -> None:
        valve = self.rig.valve
        if valve.confirmed and valve.position is not None:
            assert valve.made == {valve.position}

    def teardown(self) -> None:
        """Once everything works again, a leak ends with a closed valve."""
        if not hasattr(self, "rig"):
            return
        self.repair()
        self.rig.stalled = False
        self.rig.stuck.clear()
        self.rig.turn_by_hand(self.rig.opening)
        self.rig.unlock()
        self.rig.wait(120)
        self.rig.drive(Position.CLOSED, LEAK)
        self.rig.wait(120)
        assert (self.rig.state, self.rig.really) == (ValveState.CLOSED, Position.CLOSED)


class AnySpringReturnValve(AnyValve):
    kind = ValveKind.SPRING_RETURN


class AnyMotorisedValve(AnyValve):
    kind = ValveKind.MOTORISED


class AnyLatchingValve(AnyValve):
    kind = ValveKind.LATCHING


PROFILE = settings(max_examples=60, stateful_step_count=40, deadline=None)
AnySpringReturnValve.TestCase.settings = PROFILE
AnyMotorisedValve.TestCase.settings = PROFILE
AnyLatchingValve.TestCase.settings = PROFILE
TestAnySpringReturnValve = AnySpringReturnValve.TestCase
TestAnyMotorisedValve = AnyMotorisedValve.TestCase
TestAnyLatchingValve = AnyLatchingValve.TestCase
