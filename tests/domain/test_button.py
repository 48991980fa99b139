"""From edges to presses."""

import pytest

from gateway.domain.authority import button
from gateway.domain.authority.button import Button, Press
from gateway.domain.effects import Clear, Raise
from gateway.domain.model import LedPattern
from gateway.domain.site import ButtonSpec, OverridePolicy

RELEASED = Button(ButtonSpec(id="lobby"), OverridePolicy())


def held_for(seconds: float) -> tuple[Button, Press | None]:
    held, _, _ = button.change(RELEASED, pressed=True, now_s=0.0)
    held, _ = button.tick(held, seconds)
    released, press, _ = button.change(held, pressed=False, now_s=seconds)
    return released, press


@pytest.mark.parametrize(
    ("seconds", "press"),
    [
        (0.01, None),
        (0.05, Press.SHORT),
        (0.999, Press.SHORT),
        (2.0, None),
        (3.0, Press.LONG),
        (9.9, Press.LONG),
        (10.0, Press.VERY_LONG),
        (59.9, Press.VERY_LONG),
        (60.1, None),
    ],
)
def test_length_of_a_press_is_its_meaning(seconds: float, press: Press | None) -> None:
    assert held_for(seconds)[1] is press


def test_button_held_too_long_is_trouble_once_and_ignored_until_released() -> None:
    held, _, _ = button.change(RELEASED, pressed=True, now_s=0.0)
    held, effects = button.tick(held, 60.0)
    held, again = button.tick(held, 600.0)
    released, press, cleared = button.change(held, pressed=False, now_s=601.0)

    assert [type(effect) for effect in effects] == [Raise]
    assert (again, press, released.held_since_s) == ([], None, None)
    assert cleared == [Clear("button-stuck", "button/lobby")]


def test_light_tells_what_the_press_would_be() -> None:
    held, _, _ = button.change(RELEASED, pressed=True, now_s=0.0)
    shown = []
    for now_s in (0.0, 3.0, 10.0, 60.0):
        held, _ = button.tick(held, now_s)
        shown.append(button.feedback(held))

    assert shown == [LedPattern.PRESS_SHORT, LedPattern.PRESS_LONG, LedPattern.PRESS_VERY_LONG, None]


def test_repeated_or_lonely_edges_change_nothing() -> None:
    held, _, _ = button.change(RELEASED, pressed=True, now_s=0.0)

    assert button.change(held, pressed=True, now_s=0.5)[0] == held
    assert button.change(RELEASED, pressed=False, now_s=0.5) == (RELEASED, None, [])


def test_every_stage_has_a_deadline_and_a_stuck_button_none() -> None:
    held, _, _ = button.change(RELEASED, pressed=True, now_s=0.0)
    deadlines = []
    for now_s in (0.0, 3.0, 10.0, 60.0):
        held, _ = button.tick(held, now_s)
        deadlines.append(button.deadline_s(held))

    assert deadlines == [3.0, 10.0, 60.0, None]
