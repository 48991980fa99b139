"""What a command from the cloud says, and whether it may be executed: pure, given the time.

The signature was checked before (keys.py), and that it runs at most once is checked after (inbox.py).
"""

from typing import Annotated, Any, Final, Literal

import msgspec

from gateway.domain.events import (
    AcknowledgeRequested,
    Event,
    ExerciseRequested,
    OccupancyRequested,
    ResetRequested,
    ShelveRequested,
    ValveRequested,
)
from gateway.domain.model import Actor, ActorKind, Occupancy, Request, Wish
from gateway.domain.update.asked import UpdateAsked
from gateway.errors import CommandError
from gateway.link.orders import CancelBody, UpdateBody
from gateway.link.wire import VERSION, Stamp

SKEW_S: Final = 60.0
"""How far the cloud's clock may be ahead of ours."""
LIFETIME_MAX_S: Final = 86400.0
"""Longest time from issue to expiry: bounds how long an id must be remembered."""

_Id = Annotated[str, msgspec.Meta(pattern=r"^(?!local-)[A-Za-z0-9_-]{8,64}\Z")]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Text = Annotated[str, msgspec.Meta(max_length=1000)]
_Seq = Annotated[int, msgspec.Meta(ge=0)]


class _Head(msgspec.Struct, frozen=True):
    """As much as must be readable to answer at all."""

    v: int
    id: _Id
    gateway: str


class Claims(msgspec.Struct, frozen=True):
    """A signed command."""

    v: int
    id: _Id
    gateway: str
    kind: str
    issued_at: float
    not_after: float
    actor: _Name
    cause: _Text = ""
    step_up: bool = False
    body: dict[str, Any] = {}  # msgspec copies it; checked by kind below


class Receipt(msgspec.Struct, frozen=True):
    """A signed statement of what the cloud's database holds of one epoch."""

    v: int
    gateway: str
    epoch: int
    through: _Seq
    also: Annotated[list[tuple[_Seq, _Seq]], msgspec.Meta(max_length=1000)] = []


class _Valve(msgspec.Struct, frozen=True):
    valve: _Name
    wish: Literal["open", "close", "auto"]


class _ValveExercise(msgspec.Struct, frozen=True):
    valve: _Name


class _Alarm(msgspec.Struct, frozen=True):
    alarm_id: _Name


class _AlarmShelve(msgspec.Struct, frozen=True):
    alarm_id: _Name
    duration_s: Annotated[float, msgspec.Meta(ge=0, le=7 * 86400)]


class _Occupancy(msgspec.Struct, frozen=True):
    mode: Occupancy


class _Ping(msgspec.Struct, frozen=True):
    pass


_Body = _Valve | _ValveExercise | _Alarm | _AlarmShelve | _Occupancy | UpdateBody | CancelBody | _Ping

_BODIES: Final[dict[str, type[_Body]]] = {
    "valve": _Valve,
    "valve/exercise": _ValveExercise,
    "alarm/ack": _Alarm,
    "alarm/reset": _Alarm,
    "alarm/shelve": _AlarmShelve,
    "occupancy": _Occupancy,
    "update": UpdateBody,
    "update/cancel": CancelBody,
    "ping": _Ping,
}

_DECODER: Final = msgspec.json.Decoder(Claims)
_HEAD: Final = msgspec.json.Decoder(_Head)
_RECEIPT: Final = msgspec.json.Decoder(Receipt)


class Command(msgspec.Struct, frozen=True):
    """A command that this gateway understands and may execute now."""

    id: str
    not_after: float
    request: Request
    kind: str
    body: _Body

    @property
    def closes(self) -> bool:
        """It only ever makes the building safer, so it may run even if the disk cannot remember it."""
        return isinstance(self.body, _Valve) and self.body.wish == "close"

    @property
    def event(self) -> Event | None:
        """What the core is asked; None if it is not for the core."""
        match self.body:
            case _Valve(valve, wish):
                return ValveRequested(valve, Wish(wish), self.request)
            case _ValveExercise(valve):
                return ExerciseRequested(valve, self.request)
            case _AlarmShelve(alarm_id, duration_s):
                return ShelveRequested(alarm_id, duration_s, self.request)
            case _Occupancy(mode):
                return OccupancyRequested(mode, self.request)
            case _Alarm(alarm_id) if self.kind == "alarm/ack":
                return AcknowledgeRequested(alarm_id, self.request)
            case _Alarm(alarm_id):
                return ResetRequested(alarm_id, self.request)
            case _:
                return None

    @property
    def asked(self) -> UpdateAsked | None:
        """What is asked of updates, if that is what it is about."""
        return self.body.asked(self.request) if isinstance(self.body, UpdateBody | CancelBody) else None


def sender_id(signed: bytes) -> str | None:
    """Return the id under which a signed command can be answered, or None if it has none."""
    try:
        return _HEAD.decode(signed).id
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def judge(signed: bytes, gateway: str, kind: str, stamp: Stamp) -> Command:
    """Return the command.

    Args:
        signed: What the cloud signed.
        gateway: Our id.
        kind: As the topic says.
        stamp: Now.

    Raises:
        CommandError: It is not to be executed; `reason` as in docs/protocol.md.
    """
    claims = _claims(signed)
    if claims.gateway != gateway:
        raise CommandError("wrong_gateway", f"it is for {claims.gateway!r}")
    if claims.kind != kind:
        raise CommandError("kind_mismatch", f"signed as {claims.kind!r}, sent as {kind!r}")
    body_type = _BODIES.get(claims.kind)
    if body_type is None:
        raise CommandError("unknown_kind", f"this gateway knows {', '.join(_BODIES)}")
    try:
        body = msgspec.convert(claims.body, body_type)
    except msgspec.ValidationError as error:
        raise CommandError("bad_request", str(error)) from None
    command = Command(claims.id, claims.not_after, _request(claims, stamp), claims.kind, body)
    _check_time(claims, command, stamp)
    return command


def receipt(signed: bytes, gateway: str) -> Receipt:
    """Return a receipt. It needs no freshness: what the cloud held once, it need not be sent again.

    Raises:
        CommandError: "bad_request", "unsupported_version" or "wrong_gateway".
    """
    try:
        told = _RECEIPT.decode(signed)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CommandError("bad_request", str(error)) from None
    if told.v != VERSION:
        raise CommandError("unsupported_version", f"{told.v}; this gateway speaks {VERSION}")
    if told.gateway != gateway:
        raise CommandError("wrong_gateway", f"it is for {told.gateway!r}")
    return told


def _claims(signed: bytes) -> Claims:
    try:
        head = _HEAD.decode(signed)
        if head.v != VERSION:
            raise CommandError("unsupported_version", f"{head.v}; this gateway speaks {VERSION}")
        return _DECODER.decode(signed)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CommandError("bad_request", str(error)) from None


def _request(claims: Claims, stamp: Stamp) -> Request:
    left_s = claims.not_after - (stamp.unix_s if stamp.trusted else claims.issued_at)
    return Request(
        command_id=claims.id,
        actor=Actor(ActorKind.REMOTE, claims.actor),
        cause=claims.cause,
        expires_s=stamp.mono_s + left_s,
        may_open=claims.step_up,
    )


def _check_time(claims: Claims, command: Command, stamp: Stamp) -> None:
    """Refuse what is stale. Without a trusted clock only what can do no harm is let through."""
    lifetime_s = claims.not_after - claims.issued_at
    if not 0 < lifetime_s <= LIFETIME_MAX_S:
        raise CommandError("bad_request", f"not_after must be 0 to {LIFETIME_MAX_S:g} s after issued_at")
    if claims.not_after < (stamp.unix_s if stamp.trusted else stamp.floor_unix_s):
        raise CommandError("expired", "send it again with a new id")
    if not stamp.trusted:
        if not (command.closes or claims.kind in ("alarm/ack", "ping")):
            raise CommandError(
                "clock_untrusted", "the gateway does not know the time, so not how old this is"
            )
    elif claims.issued_at > stamp.unix_s + SKEW_S:
        raise CommandError("not_yet_valid", "the clocks of cloud and gateway differ")
