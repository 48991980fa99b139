"""Varlink on the wire (varlink.org): calls and replies are JSON objects, each ended by one NUL byte."""

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from gateway.domain.model import Json
from gateway.errors import ControlError

SERVICE = "org.varlink.service"
INVALID_PARAMETER = f"{SERVICE}.InvalidParameter"
METHOD_NOT_FOUND = f"{SERVICE}.MethodNotFound"
INTERFACE_NOT_FOUND = f"{SERVICE}.InterfaceNotFound"
EXPECTED_MORE = f"{SERVICE}.ExpectedMore"

# The standard errors carry one fact each, under its own name; ours carry a message.
_FACT = {INVALID_PARAMETER: "parameter", METHOD_NOT_FOUND: "method", INTERFACE_NOT_FOUND: "interface"}

_T = TypeVar("_T")


class Call(msgspec.Struct, frozen=True):
    """A method call: `more` allows several replies, `oneway` forbids any."""

    method: str
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    more: bool = False
    oneway: bool = False
    upgrade: bool = False


class _Reply(msgspec.Struct, omit_defaults=True):
    parameters: Mapping[str, object]
    continues: bool = False
    error: str | None = None


_calls = msgspec.json.Decoder(Call)
_replies = msgspec.json.Encoder()


def parse_call(frame: bytes) -> Call:
    """Return the call in a frame (without its NUL). Raises ControlError if it is none."""
    try:
        return _calls.decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ControlError("Malformed", f"this is no varlink call: {error}") from error


def parse_parameters(call: Call, kind: type[_T]) -> _T:
    """Return the parameters as the method wants them.

    Raises:
        ControlError: InvalidParameter, with the parameter's name as its message.
    """
    raw = bytes(call.parameters)
    try:
        return msgspec.json.decode(b"{}" if raw == b"null" else raw, type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ControlError(INVALID_PARAMETER, _parameter(str(error))) from error


def encode_reply(parameters: Mapping[str, object], *, continues: bool = False) -> bytes:
    """Return the frame of a reply; values may be `msgspec.Raw`."""
    return _replies.encode(_Reply(parameters, continues)) + b"\0"


def encode_error(name: str, parameters: Mapping[str, Json]) -> bytes:
    """Return the frame of an error reply."""
    return _replies.encode(_Reply(parameters, error=name)) + b"\0"


def facts(error: ControlError) -> Mapping[str, Json]:
    """Return the parameters that an error of this name carries."""
    return {_FACT.get(error.name, "message"): str(error)}


def _parameter(complaint: str) -> str:
    """Return the parameter that msgspec complains about: "... - at `$.valve`", "... field `valve`"."""
    found = re.search(r"`\$\.?([A-Za-z_]*)", complaint) or re.search(r"field `([A-Za-z_]+)`", complaint)
    return found[1] if found else ""
