"""What a board hears from the building: those messages of wire.py that a gateway's hardware would notice.

Read with the standard json, which the store has loaded anyway: msgspec would take the daemon 2 MiB.
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.domain.ports import Advert
from gateway.errors import DriverError
from gateway.sim.panel import Rail


@dataclass(frozen=True, slots=True)
class Levels:
    """All lines as they are now; `contacts` are true when closed, `ratios` are parts of the supply."""

    rails: Mapping[str, Rail]
    contacts: Mapping[str, bool]
    outputs: dict[str, bool]
    ratios: dict[str, float]


@dataclass(frozen=True, slots=True)
class Contact:
    """The contact behind an input line closed or opened."""

    line: str
    closed: bool


@dataclass(frozen=True, slots=True)
class Ratio:
    """The voltage at a converter's input changed."""

    input: str
    ratio: float


_FOR_BOARDS = ("hello", "contact", "loop", "advert")

Told: TypeAlias = Levels | Contact | Ratio | Advert | None


def read(line: bytes) -> Told:
    """Return what a line of the socket tells, or None if it is for people. Raises DriverError."""
    try:
        message = json.loads(line)
        match message:
            case {
                "type": "hello",
                "rails": dict(rails),
                "contacts": dict(contacts),
                "outputs": dict(outputs),
                "ratios": dict(ratios),
            }:
                return Levels(rails, contacts, outputs, ratios)
            case {"type": "contact", "line": str(name), "closed": bool(closed)}:
                return Contact(name, closed)
            case {"type": "loop", "input": str(name), "ratio": int() | float() as ratio}:
                return Ratio(name, float(ratio))
            case {"type": "advert"}:
                return _advert(message)
            case {"type": str(kind)} if kind not in _FOR_BOARDS:
                return None
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError):
        pass
    raise DriverError(f"the simulated building says something unknown: {line[:80]!r}")


def _advert(sent: Mapping[str, Any]) -> Advert:
    return Advert(
        sent["address"],
        _parts(sent.get("service_data", {})),
        _parts(sent.get("manufacturer_data", {})),
        sent.get("name", ""),
        sent.get("rssi_dbm"),
    )


def _parts(sent: Mapping[str, str]) -> dict[int, bytes]:
    return {int(key): b64decode(value) for key, value in sent.items()}
