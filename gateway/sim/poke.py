"""What every poke is: one thing that somebody does in the building."""

from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct

from gateway.errors import DriverError
from gateway.sim.building import Building

_MOST = 1e6

_Thing = TypeVar("_Thing")


def find(kind: str, name: str, things: Mapping[str, _Thing]) -> _Thing:
    """Return the thing of this name. Raises DriverError that names those there are."""
    if name not in things:
        raise DriverError(
            f'there is no {kind} "{name}" in this building; it has {", ".join(things) or "none"}'
        )
    return things[name]


def sane(key: str, value: float) -> float:
    """Return the number. Raises DriverError if it makes no sense."""
    if not 0 <= value <= _MOST:
        raise DriverError(f"{key} is {value:g}; allowed: 0 to {_MOST:g}")
    return value


class Poked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag=str.lower):
    """One thing to do; `_change` says how. What follows from it happens at once."""

    def do(self, building: Building) -> None:
        """Do it now.

        Raises:
            DriverError: There is no such thing in the building, or the number makes no sense.
        """
        self._change(building)
        building.settle()

    def _change(self, building: Building) -> None:
        raise NotImplementedError
