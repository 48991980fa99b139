"""Who decides over a valve: a fixed order, as in BACnet's priority array.

    lockout > local button > leak protection (close only) > a person's request > nobody

Lower wishes are stored and looked at again when a higher one ends; only what a person does at that moment
may open a valve then (core.py asks for the position with `may_open`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.domain.authority.override import Mode, Override
from gateway.domain.effects import Why
from gateway.domain.evolve import replace
from gateway.domain.model import Actor, ActorKind, Position, Request, Wish
from gateway.domain.valve.machine import ValveState


class Rank(StrEnum):
    """Whose wish is in force."""

    LOCKOUT = "lockout"
    BUTTON = "button"
    LEAK = "leak"
    REQUEST = "request"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class StoredWish:
    """What a person asked for.

    Args:
        expires_s: It lapses if it has not been carried out by then; None never. A closing that was carried
            out stands.
    """

    position: Position
    why: Why
    expires_s: float | None


@dataclass(frozen=True)
class Authority:
    """All standing wishes over one valve; `leaks` maps each zone that wants it closed to its reason."""

    lockout: Why | None = None
    override: Override | None = None
    override_why: Why | None = None
    leaks: Mapping[str, Why] = field(default_factory=dict)
    wish: StoredWish | None = None


OPENING_WAITS_S = 600.0
"""A request to open without an expiry of its own waits this long for whoever has the valve."""


def rank(authority: Authority) -> Rank:
    """Return who decides."""
    if authority.lockout is not None:
        return Rank.LOCKOUT
    if authority.override is not None:
        return Rank.BUTTON
    if authority.leaks:
        return Rank.LEAK
    return Rank.REQUEST if authority.wish is not None else Rank.AUTO


def desired(authority: Authority) -> tuple[Position, Why] | None:
    """Return the position in force and its reason; None leaves the valve where it is."""
    match rank(authority):
        case Rank.BUTTON if authority.override is not None:
            override = authority.override
            why = authority.override_why or Why(Actor(ActorKind.BUTTON, override.button_id), "override", "")
            return override.position, why
        case Rank.LEAK:
            return Position.CLOSED, next(iter(authority.leaks.values()))
        case Rank.REQUEST if authority.wish is not None:
            return authority.wish.position, authority.wish.why
        case _:
            return None


def with_leak(authority: Authority, zone_id: str, why: Why) -> Authority:
    """Add a zone that wants the valve closed."""
    return replace(authority, leaks={**authority.leaks, zone_id: why})


def without_leak(authority: Authority, zone_id: str) -> Authority:
    """Drop a zone's wish, after its alarm has ended."""
    return replace(authority, leaks={zone: why for zone, why in authority.leaks.items() if zone != zone_id})


def stored(wish: Wish, why: Why, request: Request, now_s: float) -> StoredWish:
    """Return a request to open or close in the form in which it waits."""
    if wish is not Wish.OPEN:
        return StoredWish(Position.CLOSED, why, request.expires_s)
    expires_s = now_s + OPENING_WAITS_S if request.expires_s is None else request.expires_s
    return StoredWish(Position.OPEN, why, expires_s)


def may_reopen(authority: Authority) -> bool:
    """Tell whether the end of a lockout may open the valve: against a leak only for a hold at the button."""
    override = authority.override
    return not authority.leaks or (override is not None and override.mode is Mode.HOLD)


def refusal(authority: Authority, state: ValveState, wish: Wish, request: Request) -> tuple[str, str] | None:
    """Return (reason, detail) why a person's request is not taken; None if it is."""
    is_local = request.actor.kind is ActorKind.LOCAL
    if wish is Wish.LOCKOUT and not is_local:
        return "not_allowed", "a lockout is set on site only"
    if authority.lockout is not None and wish is Wish.AUTO and not is_local:
        return "locked_out", "a lockout is removed on site only"
    if authority.lockout is not None and wish in (Wish.OPEN, Wish.CLOSE):
        return "locked_out", "the valve is out of service"
    return _opening_refused(authority, state, request) if wish is Wish.OPEN else None


def _opening_refused(authority: Authority, state: ValveState, request: Request) -> tuple[str, str] | None:
    if not request.may_open:
        return "not_authorised", "opening needs a stepped-up login"
    if authority.leaks:
        return "alarm_latched", f"reset the leak alarm of zone {next(iter(authority.leaks))} first"
    if state is ValveState.FAULT:
        return "valve_fault", "the valve needs maintenance before it may open"
    return None
