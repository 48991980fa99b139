import itertools

import pytest

from gateway.domain.model import Coil, Position
from gateway.domain.site import OnDaemonLoss, ValveKind
from gateway.domain.valve.failsafe import Drive, Plan, concerned, plan

NOTHING: frozenset[Position] = frozenset()
SHUT = frozenset({Position.CLOSED})
MOTOR = Drive(kind=ValveKind.MOTORISED, travel_s=8.0, max_run_s=60.0)
LATCH = Drive(kind=ValveKind.LATCHING)
HELD = Drive(kind=ValveKind.SPRING_RETURN, on_daemon_loss=OnDaemonLoss.HOLD)
SPRUNG = Drive(kind=ValveKind.SPRING_RETURN, on_daemon_loss=OnDaemonLoss.CLOSE)

COILS = [frozenset(some) for count in range(3) for some in itertools.combinations(Coil, count)]
SWITCHES = [frozenset(some) for count in range(3) for some in itertools.combinations(Position, count)]


def test_running_closing_may_come_to_its_end_after_a_clean_stop():
    decided = plan(MOTOR, frozenset({Coil.CLOSE}), NOTHING, crashed=False)

    assert decided == Plan(release=(Coil.OPEN,), closes_within_s=12.0)


def test_bound_of_a_run_bounds_the_end_of_a_closing_too():
    slow = Drive(kind=ValveKind.MOTORISED, travel_s=50.0, max_run_s=60.0)

    assert plan(slow, frozenset({Coil.CLOSE}), NOTHING, crashed=False).closes_within_s == 60.0


def test_after_a_crash_a_closing_is_cut_because_the_daemon_is_back_at_once():
    assert plan(MOTOR, frozenset({Coil.CLOSE}), NOTHING, crashed=True) == Plan((Coil.OPEN, Coil.CLOSE))


@pytest.mark.parametrize("made", [SHUT, frozenset(Position)])
def test_motor_that_stands_at_its_closed_end_is_released(made: frozenset[Position]):
    assert plan(MOTOR, frozenset({Coil.CLOSE}), made, crashed=False) == Plan((Coil.OPEN, Coil.CLOSE))


def test_closing_that_only_left_the_open_end_goes_on():
    made = frozenset({Position.OPEN})

    assert plan(MOTOR, frozenset({Coil.CLOSE}), made, crashed=False).closes_within_s > 0


@pytest.mark.parametrize("crashed", [False, True])
@pytest.mark.parametrize("made", SWITCHES)
@pytest.mark.parametrize("energised", COILS)
@pytest.mark.parametrize("drive", [MOTOR, LATCH, HELD, SPRUNG])
def test_whatever_is_found_no_coil_stays_on_that_should_not(
    drive: Drive, energised: frozenset[Coil], made: frozenset[Position], crashed: bool
):
    decided = plan(drive, energised, made, crashed=crashed)

    released = set(decided.release)
    if drive is HELD:
        assert released == set()
    elif drive is SPRUNG:
        assert released == {Coil.OPEN}
    elif drive is LATCH:
        assert released == set(Coil)
    else:
        assert Coil.OPEN in released
        assert (Coil.CLOSE in released) is (decided.closes_within_s == 0)
    if decided.closes_within_s:
        assert (drive, energised, crashed) == (MOTOR, frozenset({Coil.CLOSE}), False)


def test_lines_of_a_valve_that_is_held_are_left_alone():
    assert concerned(HELD) == ()


@pytest.mark.parametrize(
    ("drive", "coils"), [(SPRUNG, (Coil.OPEN,)), (MOTOR, tuple(Coil)), (LATCH, tuple(Coil))]
)
def test_lines_of_the_other_valves_are_looked_at(drive: Drive, coils: tuple[Coil, ...]):
    assert concerned(drive) == coils
