"""What happens to the wires in the building; a loop is named as a line is.

These are pokes like those of hands.py.
"""

from gateway.sim.building import Building
from gateway.sim.loop import Circuit
from gateway.sim.poke import Poked, find, sane


class Cut(Poked, frozen=True):
    """Cut the wire of an input line, which reads as an open contact then, or of a supervised loop."""

    line: str

    def _change(self, building: Building) -> None:
        _disturb(building, self.line, cut=True)


class Short(Poked, frozen=True):
    """Short an input line, which reads as a closed contact then, or a supervised loop."""

    line: str

    def _change(self, building: Building) -> None:
        _disturb(building, self.line, shorted=True)


class Corrode(Poked, frozen=True):
    """Let a terminal of a supervised loop corrode: it adds so much resistance."""

    loop: str
    ohm: float = 4000.0

    def _change(self, building: Building) -> None:
        find("loop", self.loop, building.circuits).corroded_ohm = sane("ohm", self.ohm)


class Mend(Poked, frozen=True):
    """Repair the wire of an input line or loop."""

    line: str

    def _change(self, building: Building) -> None:
        if self.line in building.circuits:
            building.circuits[self.line] = Circuit(building.plan.loop[self.line])
        else:
            find("input line", self.line, building.contacts)
            building.line_faults.pop(self.line, None)


def _disturb(building: Building, name: str, *, cut: bool = False, shorted: bool = False) -> None:
    if name in building.circuits:
        building.circuits[name].cut, building.circuits[name].shorted = cut, shorted
    else:
        find("input line", name, building.contacts)
        building.line_faults[name] = shorted
