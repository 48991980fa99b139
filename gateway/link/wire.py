"""What the gateway says, pure: topics, and the envelope around every message (docs/protocol.md).

A message is identified by (gateway, epoch, seq). A state message carries `seq` null: it is not queued
and not counted; of two, the one with the larger (epoch, mono_s) holds.

It is written with the standard json, which the store has loaded anyway; envelope.py reads it elsewhere.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.domain.commands import AnswerRequest
from gateway.domain.model import Channel, Json

VERSION: Final = 1
PAYLOAD_MAX_BYTES: Final = 128 * 1024
"""The smallest limit among the brokers that we want to work on (AWS IoT Core)."""

_ROOT: Final = "reed/v1"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who speaks: constant for one run of the daemon.

    Args:
        gateway: The gateway id, also the common name of its certificate.
        boot_id: The kernel's boot id; `mono_s` of two messages compare only within one.
        epoch: The store's number for this run; larger for each later run.
    """

    gateway: str
    boot_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment on both clocks.

    Args:
        mono_s: Monotonic seconds since boot.
        unix_s: Wall clock, seconds since 1970.
        trusted: The wall clock was set by somebody we believe, or is plausibly kept.
        floor_unix_s: It is later than this for certain (build, last saved time, own certificate).
    """

    mono_s: float
    unix_s: float
    trusted: bool
    floor_unix_s: float = 0.0


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be put into a message")


_encoder: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain)


def to_json(value: object) -> bytes:
    """Return JSON in UTF-8: a number that JSON has no word for is null, a lone surrogate "?"."""
    try:
        text = _encoder.encode(value)
    except ValueError:
        finite = json.loads(json.dumps(value, default=_plain), parse_constant=lambda _word: None)
        text = _encoder.encode(finite)
    return text.encode(errors="replace")


def encode(origin: Origin, seq: int | None, kind: str, body: Mapping[str, Json], stamp: Stamp) -> bytes:
    """Return the payload of one message.

    A body that no broker would take is replaced by `{"oversize_bytes": n}`: a message is never lost
    silently, and never blocks those behind it.
    """
    payload = _envelope(origin, seq, kind, body, stamp)
    if len(payload) > PAYLOAD_MAX_BYTES:
        return _envelope(origin, seq, kind, {"oversize_bytes": len(payload)}, stamp)
    return payload


def _envelope(origin: Origin, seq: int | None, kind: str, body: Mapping[str, Json], stamp: Stamp) -> bytes:
    return to_json(
        {
            "v": VERSION,
            "gateway": origin.gateway,
            "epoch": origin.epoch,
            "seq": seq,
            "boot_id": origin.boot_id,
            "mono_s": round(stamp.mono_s, 6),
            "unix_s": round(stamp.unix_s, 3),
            "time_trusted": stamp.trusted,
            "kind": kind,
            "body": body,
        }
    )


def up_topic(gateway: str, channel: Channel) -> str:
    """Return where messages of this channel go, e.g. `reed/v1/house-7/up/alarm`."""
    return f"{_ROOT}/{gateway}/up/{channel.name.lower()}"


def command_topic(gateway: str, kind: str) -> str:
    """Return where the cloud puts commands of this kind, e.g. `reed/v1/house-7/cmd/alarm/ack`."""
    return f"{_ROOT}/{gateway}/cmd/{kind}"


def command_kind(gateway: str, topic: str) -> str | None:
    """Return the kind that a topic names, or None if it is not a command topic of this gateway."""
    prefix = command_topic(gateway, "")
    return topic.removeprefix(prefix) if topic.startswith(prefix) else None


def answer_body(answer: AnswerRequest) -> dict[str, Json]:
    """Return the body of an "answer" message (channel ACK)."""
    return {
        "command_id": answer.command_id,
        "state": answer.state,
        "reason": answer.reason,
        "detail": answer.detail,
    }


def status_body(*, online: bool, session: int, reason: str) -> dict[str, Json]:
    """Return the body of a "status" message; a later session of an epoch has a larger number."""
    return {"online": online, "session": session, "reason": reason}


def gap_body(reason: str, detail: str, ranges: Iterable[tuple[Channel, int, int, int]]) -> dict[str, Json]:
    """Return the body of a "gap" message: these will never come.

    Args:
        reason: "evicted" or "poisoned".
        detail: One line for a person.
        ranges: (channel, epoch, first, last), both ends included.
    """
    named: list[Json] = [
        {"channel": channel.name.lower(), "epoch": epoch, "first": first, "last": last}
        for channel, epoch, first, last in ranges
    ]
    return {"reason": reason, "detail": detail, "ranges": named}


def restarted_body(epoch: int, through: int) -> dict[str, Json]:
    """Return the body of a "restarted" message: what `epoch` still had after `through` is lost."""
    return {"epoch": epoch, "through": through}
