"""How the cloud's end reads a message, pure: the envelope that wire.py writes. The daemon never needs it."""

from typing import Any, Final

import msgspec

from gateway.errors import DecodeError
from gateway.link.wire import VERSION


class Envelope(msgspec.Struct, frozen=True):
    """What every upward message is wrapped in; unknown fields are ignored by whoever reads it."""

    v: int
    gateway: str
    epoch: int
    seq: int | None
    boot_id: str
    mono_s: float
    unix_s: float
    time_trusted: bool
    kind: str
    body: dict[str, Any]  # JSON from outside: checked by kind, where it is used


_decoder: Final = msgspec.json.Decoder(Envelope)


def decode(payload: bytes) -> Envelope:
    """Return the envelope of a payload. Raises DecodeError."""
    try:
        envelope = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not a message of this protocol: {error}") from None
    if envelope.v != VERSION:
        raise DecodeError(f"version {envelope.v} is unknown; this end speaks {VERSION}")
    return envelope
