"""A local override of one valve: a person at the button outranks everything but a lockout.

    none --short--> timed --expiry--> none          (valve stays, unless protection wants it closed)
    none --long---> hold  --very long--> none       (announced again every 8 h)
    timed, open --leak--> countdown --press--> countdown, one more period
                              |  +-----long press--> hold
                              +--expiry--> none, and leak protection closes the valve

Ending an override never opens a valve by itself: ranks.py sees to that.
"""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.commands import Record, Remember
from gateway.domain.effects import Clear, Effect, Raise, Why
from gateway.domain.evolve import replace
from gateway.domain.model import Json, Position, SignalClass
from gateway.domain.site import OverridePolicy


class Mode(StrEnum):
    """How long the override lasts."""

    TIMED = "timed"
    HOLD = "hold"
    COUNTDOWN = "countdown"


@dataclass(frozen=True)
class Override:
    """A person's will at the button.

    Args:
        until_s: When it ends (None: hold).
        reannounce_s: When a hold is announced again.
    """

    position: Position
    mode: Mode
    button_id: str
    until_s: float | None = None
    reannounce_s: float | None = None


def timed(position: Position, button_id: str, policy: OverridePolicy, now_s: float) -> Override:
    """Override for `policy.timed_s`."""
    return Override(position, Mode.TIMED, button_id, until_s=now_s + policy.timed_s)


def hold(position: Position, button_id: str, policy: OverridePolicy, now_s: float) -> Override:
    """Override until a person ends it."""
    return Override(position, Mode.HOLD, button_id, reannounce_s=now_s + policy.reannounce_s)


def leak_confirmed(override: Override, policy: OverridePolicy, now_s: float) -> Override:
    """Begin the countdown if the override keeps a valve open against a leak and may end by itself."""
    held = override.mode is Mode.HOLD and not policy.leak_breaks_hold
    if override.position is not Position.OPEN or held or override.mode is Mode.COUNTDOWN:
        return override
    until_s = now_s + policy.countdown_s
    if override.until_s is not None:
        until_s = min(until_s, override.until_s)
    return replace(override, mode=Mode.COUNTDOWN, until_s=until_s, reannounce_s=None)


def extend(override: Override, policy: OverridePolicy, now_s: float) -> Override:
    """Keep the valve open for one more countdown."""
    return replace(override, until_s=now_s + policy.countdown_s)


def expired(override: Override, now_s: float) -> bool:
    """Return True when the override has run out."""
    return override.until_s is not None and now_s >= override.until_s


def due_to_announce(override: Override, now_s: float) -> bool:
    """Return True when a hold is to be announced again."""
    return override.reannounce_s is not None and now_s >= override.reannounce_s


def deadline_s(override: Override) -> float | None:
    """Return when the override changes by itself."""
    return override.until_s if override.until_s is not None else override.reannounce_s


def remember(override: Override | None) -> Json:
    """Return what to keep across a restart."""
    if override is None:
        return None
    return {"position": override.position.value, "mode": override.mode.value, "button": override.button_id}


def restore(memory: Json, policy: OverridePolicy, *, protects: bool, now_s: float) -> Override | None:
    """Return the override that survives a restart.

    A hold does. A timed one has lost its clock: it ends, which moves nothing, unless it keeps a valve open
    against a leak or a flow rule (`protects`): then a person gets the countdown.
    """
    match memory:
        case {"position": ("open" | "closed") as position, "mode": "hold", "button": str() as button_id}:
            return hold(Position(position), button_id, policy, now_s)
        case {"position": "open", "mode": "timed" | "countdown", "button": str() as button_id} if protects:
            return leak_confirmed(timed(Position.OPEN, button_id, policy, now_s), policy, now_s)
        case _:
            return None


def view(override: Override | None, now_s: float) -> Json:
    """Return position, mode and remaining seconds for people, or None."""
    if override is None:
        return None
    remaining_s = None if override.until_s is None else max(0.0, override.until_s - now_s)
    return {"position": override.position.value, "mode": override.mode.value, "remaining_s": remaining_s}


def announce(valve_id: str, override: Override | None, why: Why, now_s: float) -> list[Effect]:
    """Return record, memory and supervisory signal for an override that began, changed or ended."""
    subject, shown = f"valve/{valve_id}", view(override, now_s)
    effects: list[Effect] = [
        Record("override", subject, why.actor, why.cause, why.correlation_id, {"override": shown}),
        Remember(f"override/{valve_id}", remember(override)),
    ]
    if override is None:
        return [*effects, Clear("override", subject)]
    detail = f"{override.mode} {override.position} by button {override.button_id}"
    supervisory = SignalClass.SUPERVISORY
    return [*effects, Raise("override", subject, supervisory, detail, correlation_id=why.correlation_id)]
