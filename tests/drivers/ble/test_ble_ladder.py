from gateway.drivers.ble.ladder import (
    HOUR_S,
    PAUSE_S,
    RESTART_PAUSE_S,
    STEPS_PER_HOUR,
    Ladder,
    Rung,
)


def test_steps_become_harder_until_none_is_left():
    ladder = Ladder()

    assert [ladder.climb(now_s) for now_s in (0.0, 30.0, 60.0)] == list(Rung)
    assert ladder.exhausted


def test_hearing_something_begins_at_the_gentlest_step_again():
    ladder = Ladder()
    ladder.climb(0.0)
    ladder.climb(30.0)
    ladder.heard()

    assert not ladder.exhausted
    assert ladder.climb(60.0) is Rung.RESTART_SCAN


def test_a_step_whose_pause_has_not_passed_gives_way_to_a_harder_one():
    ladder = Ladder()
    ladder.climb(0.0)
    ladder.heard()

    assert ladder.climb(PAUSE_S[Rung.RESTART_SCAN] / 2) is Rung.POWER_CYCLE


def test_an_adapter_that_hears_in_between_is_not_reset_each_time():
    ladder = Ladder()
    resets = 0
    for minute in range(60):
        if ladder.climb(minute * 60.0) is Rung.RESET:
            resets += 1
            ladder.heard()

    assert 1 <= resets <= HOUR_S / PAUSE_S[Rung.RESET]


def test_an_exhausted_ladder_repeats_only_the_gentlest_step():
    ladder = Ladder()
    for now_s in (0.0, 30.0, 60.0):
        ladder.climb(now_s)

    assert {ladder.climb(90.0 + 30.0 * n) for n in range(5)} == {Rung.RESTART_SCAN}
    assert ladder.exhausted


def test_an_hour_has_a_budget_and_the_next_one_a_new_one():
    ladder = Ladder()
    steps = [ladder.climb(30.0 * n) for n in range(40)]

    assert sum(step is not None for step in steps) == STEPS_PER_HOUR
    assert ladder.climb(HOUR_S + 30.0) is not None


def test_a_scan_that_somebody_ends_is_restarted_at_once_and_then_with_pauses():
    ladder = Ladder()

    assert ladder.may_restart(0.0)
    assert not ladder.may_restart(RESTART_PAUSE_S / 2)
    assert ladder.may_restart(RESTART_PAUSE_S * 1.5)
    assert ladder.climb(0.0) is Rung.RESTART_SCAN
