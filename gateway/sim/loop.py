"""A supervised loop of the building: a circuit of resistors, and what people and damp do to it.

    supply --[pull_up]--+--[corroded]--[series]--+-- contact ---+-- ground
                        |                        +--[parallel]--+
                        +-- to the converter

Written apart from the gateway's bands on purpose, as the radio's bytes are.
"""

from collections.abc import Collection, Mapping
from math import inf
from typing import Literal

from msgspec import Struct

from gateway.sim.panel import input_name

_MOST_OHM = 1e9


class Loop(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A leak detector's contact at the end of a loop; wet when `wet_l` stand in its room.

    Args:
        adc: Id of the converter.
        channel: Its input.
    """

    room: str
    adc: str
    channel: int
    normally: Literal["open", "closed"] = "open"
    pull_up_ohm: float = 4700.0
    series_ohm: float = 2200.0
    parallel_ohm: float = 8200.0
    wet_l: float = 0.1

    @property
    def input(self) -> str:
        """Names the converter's input: "loops/0"."""
        return input_name(self.adc, self.channel)


class Circuit:
    """The state of one loop's wire.

    Args:
        loop: As planned.

    Attributes:
        cut: Nothing is connected any more.
        shorted: The two wires touch.
        corroded_ohm: Added by a bad terminal.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.cut = False
        self.shorted = False
        self.corroded_ohm = 0.0

    def ratio(self, *, wet: bool) -> float:
        """Return the voltage at the converter as a part of the supply."""
        ohm = self._ohm(closed=wet is (self._loop.normally == "open"))
        return 1.0 if ohm == inf else ohm / (ohm + self._loop.pull_up_ohm)

    def _ohm(self, *, closed: bool) -> float:
        if self.shorted:
            return 0.0
        if self.cut:
            return inf
        return self.corroded_ohm + self._loop.series_ohm + (0.0 if closed else self._loop.parallel_ohm)


def plan_problems(loops: Mapping[str, Loop], lines: Collection[str]) -> list[tuple[str, str]]:
    """Return what is wrong with the loops of a plan that has these input lines."""
    problems: list[tuple[str, str]] = []
    inputs: dict[str, str] = {}
    for name, loop in loops.items():
        numbers = ("pull_up_ohm", "series_ohm", "parallel_ohm", "wet_l")
        problems += [
            (f"loop.{name}.{key}", f"{getattr(loop, key)}; allowed: more than 0")
            for key in numbers
            if not 0 < getattr(loop, key) < _MOST_OHM
        ]
        if other := inputs.get(loop.input):
            problems.append((f"loop.{name}.channel", f"{loop.channel} of {loop.adc} is also loop.{other}"))
        if name in lines:
            problems.append((f"loop.{name}", "a line has the same name; hands could not tell them apart"))
        inputs[loop.input] = name
    return problems
