"""What a press of the button means for the valves that hang on it: they move together."""

from collections.abc import Sequence

from gateway.domain.authority.arbiter import Arbiter
from gateway.domain.authority.button import Press
from gateway.domain.authority.override import Mode
from gateway.domain.effects import Effect, Why
from gateway.domain.model import Position


def press(
    arbiters: Sequence[Arbiter], press: Press, why: Why, now_s: float, *, latched: bool
) -> list[Effect] | None:
    """Return what follows from a press; None if it is refused.

    Args:
        arbiters: The button's valves. If any of them is open, a press closes.
        press: What the person did.
        why: The person, for the journal.
        now_s: Monotonic seconds.
        latched: A leak is latched (or unknown) at one of the valves: opening takes the long press.
    """
    if press is Press.VERY_LONG:
        return [effect for arbiter in arbiters for effect in arbiter.release(why, now_s, by_person=True)]
    counting = [arbiter for arbiter in arbiters if _mode(arbiter) is Mode.COUNTDOWN]
    if counting and press is Press.SHORT:
        return [effect for arbiter in counting for effect in arbiter.extend(why, now_s)]
    position = _meant(arbiters, press)
    if position is Position.OPEN and press is Press.SHORT and latched:
        return None
    mode = Mode.HOLD if press is Press.LONG else Mode.TIMED
    return [effect for arbiter in arbiters for effect in arbiter.press(position, mode, why, now_s)]


def _meant(arbiters: Sequence[Arbiter], press: Press) -> Position:
    """Swap, except that a long press during a timed override makes that one stay."""
    if press is Press.LONG:
        for arbiter in arbiters:
            override = arbiter.authority.override
            if override is not None and override.mode is not Mode.HOLD:
                return override.position
    # a press at a valve that failed to close does not mean "open": it is tried again, now
    shut = all(arbiter.is_shut and not arbiter.has_failed_to_close for arbiter in arbiters)
    return Position.OPEN if shut else Position.CLOSED


def _mode(arbiter: Arbiter) -> Mode | None:
    override = arbiter.authority.override
    return None if override is None else override.mode
