"""Who decides over a valve: a fixed order, as in BACnet's priority array.

    lockout > local button > leak protection > flow rules (both close only) > a person's request > nobody

Lower wishes are stored and looked at again when a higher one ends; only what a person does at that moment
may open a valve then (core.py asks for the position with `may_open`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

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
    FLOW = "flow"
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
    """All standing wishes over one valve.

    Args:
        leaks: Zones that want it closed, and why.
        flows: Flow rules that want it closed, and why.
    """

    lockout: Why | None = None
    override: Override | None = None
    override_why: Why | None = None
    leaks: Mapping[str, Why] = field(default_factory=dict)
    flows: Mapping[str, Why] = field(default_factory=dict)
    wish: StoredWish | None = None

    @property
    def protects(self) -> bool:
        """Something automatic wants the valve closed until a person resets an alarm."""
        return bool(self.leaks or self.flows)


class Standing(NamedTuple):
    """Alarms that want a valve closed, and why: zones and flow rules."""

    leaks: Mapping[str, Why]
    flows: Mapping[str, Why]


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
    if authority.flows:
        return Rank.FLOW
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
        case Rank.FLOW:
            return Position.CLOSED, next(iter(authority.flows.values()))
        case Rank.REQUEST if authority.wish is not None:
            return authority.wish.position, authority.wish.why
        case _:
            return None


def with_alarm(authority: Authority, rank: Rank, name: str, why: Why) -> Authority:
    """Add a zone (`Rank.LEAK`) or flow rule (`Rank.FLOW`) that wants the valve closed."""
    if rank is Rank.FLOW:
        return replace(authority, flows={**authority.flows, name: why})
    return replace(authority, leaks={**authority.leaks, name: why})


def without_alarm(authority: Authority, rank: Rank, name: str) -> Authority:
    """Drop the wish of a zone or flow rule, after its alarm has ended."""
    before = authority.flows if rank is Rank.FLOW else authority.leaks
    left = {other: why for other, why in before.items() if other != name}
    return replace(authority, flows=left) if rank is Rank.FLOW else replace(authority, leaks=left)


def stored(wish: Wish, why: Why, request: Request, now_s: float) -> StoredWish:
    """Return a request to open or close in the form in which it waits."""
    if wish is not Wish.OPEN:
        return StoredWish(Position.CLOSED, why, request.expires_s)
    expires_s = now_s + OPENING_WAITS_S if request.expires_s is None else request.expires_s
    return StoredWish(Position.OPEN, why, expires_s)


def may_reopen(authority: Authority) -> bool:
    """Tell whether the end of a lockout may open the valve; against an alarm only for a hold."""
    override = authority.override
    return not authority.protects or (override is not None and override.mode is Mode.HOLD)


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
    if authority.flows:
        return "alarm_latched", f"reset the flow alarm of rule {next(iter(authority.flows))} first"
    if state is ValveState.FAULT:
        return "valve_fault", "the valve needs maintenance before it may open"
    return None
