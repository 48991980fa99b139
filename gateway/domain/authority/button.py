"""The local override button: from debounced edges to presses.

    released --pressed--> held --released--> short (50 ms to 1 s) | long (3 s to 10 s) | very long (10 s on)
                            +-- 60 s --> stuck --released--> released, without a press

A press counts when it ends, so that a long one does not first act as a short one; the status light tells
meanwhile what it would be. Anything between short and long is nothing: nobody means 2 s.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.evolve import replace
from gateway.domain.model import LedPattern, SignalClass
from gateway.domain.site import ButtonSpec, OverridePolicy


class Press(StrEnum):
    """What a person meant."""

    SHORT = "short"
    LONG = "long"
    VERY_LONG = "very_long"


@dataclass(frozen=True)
class Button:
    """A button.

    Args:
        held_since_s: When it went down; None while released.
        stage: How long it is held by now: 0 short, 1 long, 2 very long, 3 stuck.
    """

    spec: ButtonSpec
    policy: OverridePolicy
    held_since_s: float | None = None
    stage: int = 0


_STUCK = 3
_SHOWN = (LedPattern.PRESS_SHORT, LedPattern.PRESS_LONG, LedPattern.PRESS_VERY_LONG)


def change(button: Button, pressed: bool, now_s: float) -> tuple[Button, Press | None, list[Effect]]:
    """Take one debounced edge; return the press that ended with it, if any."""
    if pressed:
        return (button if button.held_since_s is not None else replace(button, held_since_s=now_s)), None, []
    if button.held_since_s is None:
        return button, None, []
    released = replace(button, held_since_s=None, stage=0)
    if button.stage == _STUCK:
        return released, None, [Clear("button-stuck", f"button/{button.spec.id}")]
    return released, _press(button.policy, now_s - button.held_since_s), []


def found(button: Button, pressed: bool, now_s: float) -> tuple[Button, list[Effect]]:
    """Take the level after nobody could look: what was held before is forgotten, it is no press."""
    was_stuck = button.stage == _STUCK
    after = replace(button, held_since_s=now_s if pressed else None, stage=0)
    return after, [Clear("button-stuck", f"button/{button.spec.id}")] if was_stuck else []


def _press(policy: OverridePolicy, held_s: float) -> Press | None:
    if held_s >= policy.stuck_s:
        return None
    if held_s >= policy.very_long_s:
        return Press.VERY_LONG
    if held_s >= policy.long_s:
        return Press.LONG
    if policy.short_min_s <= held_s <= policy.short_max_s:
        return Press.SHORT
    return None


def tick(button: Button, now_s: float) -> tuple[Button, list[Effect]]:
    """Let a held button become long, very long, and in the end stuck."""
    due_s = deadline_s(button)
    if due_s is None or now_s < due_s:
        return button, []
    button = replace(button, stage=button.stage + 1)
    if button.stage < _STUCK:
        return tick(button, now_s)
    detail = f"held for {button.policy.stuck_s:g} s; it is ignored until it is released"
    return button, [Raise("button-stuck", f"button/{button.spec.id}", SignalClass.TROUBLE, detail)]


def deadline_s(button: Button) -> float | None:
    """Return when the meaning of the press changes next."""
    if button.held_since_s is None or button.stage == _STUCK:
        return None
    policy = button.policy
    return button.held_since_s + (policy.long_s, policy.very_long_s, policy.stuck_s)[button.stage]


def feedback(button: Button) -> LedPattern | None:
    """Return what to show while the button is held."""
    if button.held_since_s is None or button.stage == _STUCK:
        return None
    return _SHOWN[button.stage]
