"""Overrides: how they end, and what a leak does to them."""

from gateway.domain.authority import override
from gateway.domain.authority.override import Mode
from gateway.domain.model import Position
from gateway.domain.site import OverridePolicy

POLICY = OverridePolicy()


def test_timed_override_ends_by_itself_and_a_hold_does_not() -> None:
    timed = override.timed(Position.OPEN, "lobby", POLICY, now_s=0.0)
    held = override.hold(Position.OPEN, "lobby", POLICY, now_s=0.0)

    assert (override.expired(timed, 3599.9), override.expired(timed, 3600.0)) == (False, True)
    assert not override.expired(held, 1e9)
    assert override.due_to_announce(held, 8 * 3600.0)


def test_leak_starts_one_countdown_on_a_timed_open_override() -> None:
    timed = override.timed(Position.OPEN, "lobby", POLICY, now_s=0.0)

    counting = override.leak_confirmed(timed, POLICY, now_s=10.0)

    assert (counting.mode, counting.until_s) == (Mode.COUNTDOWN, 130.0)
    assert override.leak_confirmed(counting, POLICY, now_s=100.0) is counting
    assert override.extend(counting, POLICY, now_s=100.0).until_s == 220.0


def test_countdown_is_never_longer_than_the_override_had_left() -> None:
    timed = override.timed(Position.OPEN, "lobby", POLICY, now_s=0.0)

    assert override.leak_confirmed(timed, POLICY, now_s=3590.0).until_s == 3600.0


def test_leak_leaves_a_hold_alone_unless_the_site_says_otherwise() -> None:
    held = override.hold(Position.OPEN, "lobby", POLICY, now_s=0.0)
    strict = OverridePolicy(leak_breaks_hold=True)

    assert override.leak_confirmed(held, POLICY, now_s=10.0) is held
    assert override.leak_confirmed(held, strict, now_s=10.0).mode is Mode.COUNTDOWN


def test_leak_does_not_touch_an_override_that_closes() -> None:
    closed = override.timed(Position.CLOSED, "lobby", POLICY, now_s=0.0)

    assert override.leak_confirmed(closed, POLICY, now_s=10.0) is closed


def test_restart_keeps_a_hold_drops_a_timed_one_and_counts_down_against_a_leak() -> None:
    held = override.remember(override.hold(Position.CLOSED, "lobby", POLICY, now_s=0.0))
    timed = override.remember(override.timed(Position.OPEN, "lobby", POLICY, now_s=0.0))

    restored = override.restore(held, POLICY, protects=True, now_s=5.0)
    assert restored is not None
    assert (restored.mode, restored.position) == (Mode.HOLD, Position.CLOSED)
    assert override.restore(timed, POLICY, protects=False, now_s=5.0) is None
    counting = override.restore(timed, POLICY, protects=True, now_s=5.0)
    assert counting is not None
    assert (counting.mode, counting.until_s) == (Mode.COUNTDOWN, 125.0)


def test_garbage_in_the_memory_is_no_override() -> None:
    for garbage in (
        None,
        7,
        "hold",
        [],
        {"position": "ajar", "mode": "hold", "button": "x"},
        {"mode": "hold"},
    ):
        assert override.restore(garbage, POLICY, protects=True, now_s=0.0) is None
