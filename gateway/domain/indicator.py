"""What the status light and the sounder show: one situation, one pattern.

A rhythm is seconds on, off, on, off, ..., repeated; an empty one is steadily on and wakes nobody up.
The light counts flashes while the button is held, so that a person can let go at the right press.
"""

from collections.abc import Mapping

from gateway.domain.adapters import CLOUD_DENIED
from gateway.domain.alarm.table import AlarmTable
from gateway.domain.commands import Indicate
from gateway.domain.model import LedPattern, SignalClass, SounderPattern

Rhythm = tuple[float, ...]

RHYTHMS: Mapping[LedPattern, Rhythm] = {
    LedPattern.AUTO: (),
    LedPattern.OVERRIDE: (1.0, 1.0),
    LedPattern.ALARM: (0.25, 0.25),
    LedPattern.TROUBLE: (0.1, 2.9),
    LedPattern.CLOUD_DENIED: (0.1, 0.2, 0.1, 2.6),
    LedPattern.COUNTDOWN: (0.8, 0.2),
    LedPattern.PRESS_SHORT: (0.1, 0.9),
    LedPattern.PRESS_LONG: (0.1, 0.1, 0.1, 0.7),
    LedPattern.PRESS_VERY_LONG: (0.1, 0.1, 0.1, 0.1, 0.1, 0.5),
    LedPattern.DENIED: (0.1, 0.1),
}
"""Seconds on, off, ... of each light pattern, repeated; empty is steadily on."""

SOUNDS: Mapping[SounderPattern, Rhythm | None] = {
    SounderPattern.SILENT: None,
    SounderPattern.ALARM: (0.5, 0.5),
    SounderPattern.COUNTDOWN: (0.1, 0.9),
}
"""The same for the sounder; None is off."""


SILENT = SounderPattern.SILENT


def choose(
    *,
    pressed: LedPattern | None,
    denied: bool,
    alarms: AlarmTable,
    overridden: bool,
    counting_down: bool,
) -> Indicate:
    """Return what to show and sound: the most urgent thing wins, feedback to a finger before all.

    Args:
        pressed: What the button that is held now would do.
        alarms: Everything that is not normal.
        denied: A press has just been refused.
        overridden: A person holds a valve locally.
        counting_down: A leak is about to close a valve that is held open.
    """
    by_urgency = (
        (denied, LedPattern.DENIED),
        (counting_down, LedPattern.COUNTDOWN),
        (alarms.any_of(SignalClass.ALARM), LedPattern.ALARM),
        (overridden or alarms.any_of(SignalClass.SUPERVISORY), LedPattern.OVERRIDE),
        (alarms.active(CLOUD_DENIED), LedPattern.CLOUD_DENIED),
        (alarms.any_of(SignalClass.TROUBLE), LedPattern.TROUBLE),
    )
    led = pressed or next((pattern for holds, pattern in by_urgency if holds), LedPattern.AUTO)
    if counting_down:
        return Indicate(led, SounderPattern.COUNTDOWN)
    return Indicate(led, SounderPattern.ALARM if alarms.sounding else SILENT)
