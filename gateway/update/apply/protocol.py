"""One request and its answers, as lines of JSON on standard input and output (docs/updates.md).

{"verb": "install", "arguments": {"kind": "app", "target": "app/reed-gateway_0.2.0_all.deb", ...}}
{"percent": 40}
{"ok": {...}}      or      {"error": {"code": "untrusted", "detail": "...", "passing": false}}
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from gateway.domain.model import Json
from gateway.domain.update.model import Code
from gateway.errors import UpdateError

MAX_REQUEST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for."""

    verb: str
    arguments: Mapping[str, Json]

    def text(self, name: str, default: str | None = None) -> str:
        """Return an argument that is a text. Raises UpdateError (INVALID) if it is none, or not there."""
        value = self.arguments.get(name, default)
        if not isinstance(value, str):
            raise UpdateError(Code.INVALID, f"{self.verb}: {name} is missing, or no text")
        return value

    def flag(self, name: str) -> bool:
        """Return an argument that is true or false; without it false. Raises UpdateError (INVALID)."""
        value = self.arguments.get(name, False)
        if not isinstance(value, bool):
            raise UpdateError(Code.INVALID, f"{self.verb}: {name} is neither true nor false")
        return value


def read_request(stream: BinaryIO) -> Request:
    """Read the one request. Raises UpdateError (INVALID) if it is none."""
    line = stream.readline(MAX_REQUEST_BYTES + 1)
    if len(line) > MAX_REQUEST_BYTES:
        raise UpdateError(Code.INVALID, f"a request has at most {MAX_REQUEST_BYTES} bytes")
    try:
        found = json.loads(line)
        verb, arguments = found["verb"], found.get("arguments", {})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        verb, arguments = None, None
    if not isinstance(verb, str) or not isinstance(arguments, dict):
        raise UpdateError(Code.INVALID, 'a request is one line: {"verb": ..., "arguments": {...}}')
    return Request(verb, arguments)


class Answers:
    """Where the answers go. Somebody who no longer listens ends nothing."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._percent = -1

    def percent(self, percent: int) -> None:
        """Tell how far it has come, when that has changed."""
        if percent != self._percent:
            self._percent = percent
            self._send({"percent": percent})

    def ok(self, answer: Mapping[str, Json]) -> None:
        """Tell that it is done."""
        self._send({"ok": dict(answer)})

    def error(self, error: UpdateError) -> None:
        """Tell why it is not done."""
        self._send({"error": {"code": str(error.code), "detail": str(error), "passing": error.passing}})

    def _send(self, message: dict[str, Json]) -> None:
        with suppress(OSError):
            self._stream.write(json.dumps(message).encode() + b"\n")
            self._stream.flush()
