import pytest

from gateway.domain.alarm.table import AlarmTable
from gateway.domain.commands import Indicate
from gateway.domain.effects import Clear, Raise
from gateway.domain.indicator import RHYTHMS, SILENT, SOUNDS, choose
from gateway.domain.model import Actor, ActorKind, LedPattern, Request, SignalClass, SounderPattern

LEAK = Raise("leak", "zone/cellar", SignalClass.ALARM, latched=True)
BATTERY = Raise("battery-low", "sensor/sink", SignalClass.TROUBLE)
LOCKOUT = Raise("lockout", "valve/main", SignalClass.SUPERVISORY)
ALICE = Request("c-1", Actor(ActorKind.LOCAL, "alice"), "seen")


def table(*conditions: Raise) -> AlarmTable:
    alarms = AlarmTable()
    for condition in conditions:
        alarms.apply(condition, 0.0)
    return alarms


def shown(
    *conditions: Raise,
    pressed: LedPattern | None = None,
    denied: bool = False,
    overridden: bool = False,
    counting_down: bool = False,
) -> Indicate:
    return choose(
        pressed=pressed,
        denied=denied,
        alarms=table(*conditions),
        overridden=overridden,
        counting_down=counting_down,
    )


def test_quiet_site_shows_a_steady_light_that_needs_no_wake_ups():
    assert shown() == Indicate(LedPattern.AUTO, SILENT)
    assert RHYTHMS[LedPattern.AUTO] == ()
    assert SOUNDS[SILENT] is None


def test_leak_flashes_and_sounds():
    assert shown(LEAK, LOCKOUT, BATTERY) == Indicate(LedPattern.ALARM, SounderPattern.ALARM)


def test_acknowledged_leak_goes_on_flashing_in_silence():
    alarms = table(LEAK)
    alarms.acknowledge(LEAK.alarm_id, ALICE, 1.0)

    after = choose(pressed=None, denied=False, alarms=alarms, overridden=False, counting_down=False)

    assert after == Indicate(LedPattern.ALARM, SILENT)


def test_latched_leak_is_shown_after_the_water_is_gone():
    alarms = table(LEAK)
    alarms.apply(Clear("leak", "zone/cellar"), 9.0)

    after = choose(pressed=None, denied=False, alarms=alarms, overridden=False, counting_down=False)

    assert after == Indicate(LedPattern.ALARM, SounderPattern.ALARM)


def test_shelved_leak_is_silent_and_still_shown():
    alarms = table(LEAK)
    alarms.shelve(LEAK.alarm_id, 600.0, ALICE, 1.0)

    after = choose(pressed=None, denied=False, alarms=alarms, overridden=False, counting_down=False)

    assert after == Indicate(LedPattern.ALARM, SILENT)


def test_countdown_is_heard_and_seen_before_the_leak_that_caused_it():
    assert shown(LEAK, overridden=True, counting_down=True) == Indicate(
        LedPattern.COUNTDOWN, SounderPattern.COUNTDOWN
    )


def test_finger_on_the_button_sees_its_press_while_the_alarm_goes_on_sounding():
    assert shown(LEAK, pressed=LedPattern.PRESS_LONG, denied=True) == Indicate(
        LedPattern.PRESS_LONG, SounderPattern.ALARM
    )


def test_refused_press_is_shown_over_the_alarm():
    assert shown(LEAK, denied=True).led is LedPattern.DENIED


def test_supervisory_shows_as_override_and_hides_trouble():
    assert shown(LOCKOUT, BATTERY).led is LedPattern.OVERRIDE
    assert shown(BATTERY, overridden=True).led is LedPattern.OVERRIDE
    assert shown(BATTERY) == Indicate(LedPattern.TROUBLE, SILENT)


def test_a_cloud_that_turns_us_away_has_a_light_of_its_own_over_other_troubles_and_below_all_else():
    denied = Raise("cloud-denied", "gateway", SignalClass.TROUBLE)

    assert shown(denied, BATTERY) == Indicate(LedPattern.CLOUD_DENIED, SILENT)
    assert shown(denied, LOCKOUT).led is LedPattern.OVERRIDE
    assert shown(denied, LEAK).led is LedPattern.ALARM


@pytest.mark.parametrize("rhythm", [*RHYTHMS.values(), *(sound for sound in SOUNDS.values() if sound)])
def test_each_rhythm_is_pairs_of_on_and_off(rhythm: tuple[float, ...]):
    assert len(rhythm) % 2 == 0
    assert all(part_s > 0 for part_s in rhythm)


def test_every_pattern_has_its_own_rhythm():
    assert set(RHYTHMS) == set(LedPattern)
    assert set(SOUNDS) == set(SounderPattern)
    assert len(set(RHYTHMS.values())) == len(RHYTHMS)
