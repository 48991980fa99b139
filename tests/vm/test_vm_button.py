"""A person at the button against a leak: gpiozero on our pin factory, seen at the lines."""

from collections.abc import Iterator

import pytest

from gateway.domain.model import LedPattern
from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.wires.gateway import HEAD, alarms, contact, spring, until
from tests.vm.wires.levels import changes, levels, pattern
from tests.vm.wires.times import Times

FLOOR, BUTTON, MAIN, LIGHT, SOUNDER = 4, 6, 20, 22, 23
SHORT_S, LONG_S, VERY_LONG_S = 0.4, 5.0, 11.8
COUNTDOWN_S = 15.0
SITE = (
    f"""{HEAD}
[button.lobby]
line = "{BUTTON}"
[indicator]
led_line = "{LIGHT}"
sounder_line = "{SOUNDER}"
[override]
countdown_s = {COUNTDOWN_S}
"""
    + contact("floor", FLOOR, "main")
    + spring("main", MAIN)
)


@pytest.fixture(scope="module")
def running(booted_pi: VirtualPi) -> Iterator[Rig]:
    """One gateway for all stories here."""
    booted_pi.stop_gateway()
    booted_pi.rig.reset()
    booted_pi.start_gateway(SITE)
    yield booted_pi.rig
    booted_pi.stop_gateway()


@pytest.fixture
def lobby(running: Rig) -> Rig:
    """The valve is closed, and all is normal."""
    running.ask("lines.pull", line=FLOOR, to="open")
    view = until(running, lambda view: not view["sensors"]["floor"]["wet"])
    if view["zones"]["floor"]["latched"]:
        running.ask("daemon.ask", method="ResetAlarm", alarm="leak/zone/floor", cause="the next story")
    until(running, lambda view: not alarms(view) and view["valves"]["main"]["state"] == "closed")
    return running


def test_a_leak_under_an_override_counts_down_and_a_long_press_holds(lobby: Rig, times: Times) -> None:
    rig = lobby
    pressed_s = press(rig, SHORT_S)
    opened_s = rig.ask("record.wait", line=MAIN, level=1, since_s=pressed_s, timeout_s=30)
    let_go_s = changes(rig, BUTTON, 0, pressed_s)[-1][0]
    times.note("button let go -> valve line, with 20 ms of debouncing", opened_s - let_go_s)
    assert played(rig, opened_s + 0.1, 4.0) is LedPattern.OVERRIDE

    wet_s = rig.ask("lines.pull", line=FLOOR, to="low")
    view = until(rig, lambda view: "leak/zone/floor" in alarms(view))
    assert view["valves"]["main"]["state"] == "open"
    assert view["valves"]["main"]["override"]["mode"] == "countdown"
    sounds_s = rig.ask("record.wait", line=SOUNDER, level=1, since_s=wet_s, timeout_s=30)
    times.note("leak under an override: wet -> sounder", sounds_s - wet_s)
    assert played(rig, sounds_s + 0.1, 2.5) is LedPattern.COUNTDOWN

    down_s = press(rig, LONG_S)
    assert pattern(rig, LIGHT, down_s + 0.3, down_s + 2.8) is LedPattern.PRESS_SHORT
    assert pattern(rig, LIGHT, down_s + 3.2, down_s + LONG_S - 0.1) is LedPattern.PRESS_LONG
    view = until(rig, lambda view: view["valves"]["main"]["override"]["mode"] == "hold")
    wait_until(rig, wet_s + COUNTDOWN_S + 2.0)
    assert levels(rig, MAIN, 1, wet_s) == []  # the countdown has lapsed: it would have closed

    down_s = press(rig, VERY_LONG_S)
    closed_s = rig.ask("record.wait", line=MAIN, level=0, since_s=down_s, timeout_s=30)
    assert closed_s > down_s + 10.0
    assert pattern(rig, LIGHT, down_s + 10.2, down_s + VERY_LONG_S - 0.1) is LedPattern.PRESS_VERY_LONG
    view = until(rig, lambda view: view["valves"]["main"]["override"] is None)
    assert view["valves"]["main"]["authority"] == "leak"
    assert played(rig, closed_s + 0.1, 1.5) is LedPattern.ALARM


def test_a_countdown_that_nobody_answers_closes(lobby: Rig, times: Times) -> None:
    rig = lobby
    pressed_s = press(rig, SHORT_S)
    rig.ask("record.wait", line=MAIN, level=1, since_s=pressed_s, timeout_s=30)
    wet_s = rig.ask("lines.pull", line=FLOOR, to="low")
    until(rig, lambda view: "leak/zone/floor" in alarms(view))
    again_s = press(rig, SHORT_S)
    closed_s = rig.ask("record.wait", line=MAIN, level=0, since_s=wet_s, timeout_s=60)
    assert closed_s >= again_s + COUNTDOWN_S
    times.note(
        f"countdown of {COUNTDOWN_S:g} s, begun again by a short press -> valve line", closed_s - again_s
    )


def test_a_short_press_does_not_open_against_a_latched_leak(lobby: Rig) -> None:
    rig = lobby
    rig.ask("lines.pull", line=FLOOR, to="low")
    until(rig, lambda view: "leak/zone/floor" in alarms(view))
    rig.ask("lines.pull", line=FLOOR, to="open")
    down_s = press(rig, SHORT_S)
    assert played(rig, down_s + SHORT_S + 0.2, 2.0) is LedPattern.DENIED
    assert levels(rig, MAIN, 0, down_s) == []
    view = rig.ask("daemon.view")
    assert view["valves"]["main"]["override"] is None
    assert view["zones"]["floor"]["latched"]


def press(rig: Rig, for_s: float) -> float:
    """Press the button; return when it went down."""
    return float(rig.ask("lines.press", line=BUTTON, for_s=for_s))


def played(rig: Rig, from_s: float, for_s: float) -> LedPattern | None:
    """Watch the light for a time; return its pattern."""
    wait_until(rig, from_s + for_s)
    return pattern(rig, LIGHT, from_s, from_s + for_s)


def wait_until(rig: Rig, at_s: float) -> None:
    """Return at that time of the Pi's clock."""
    rig.ask("lines.sleep_until", at_s=at_s)
