"""Slots as RAUC tells of them (GetSlotStatus and GetPrimary of RAUC 1.13)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.domain.update.model import Code
from gateway.errors import UpdateError


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot, as RAUC knows it.

    Args:
        name: E.g. "rootfs.0".
        bootname: "A" or "B"; "" for one that belongs to another slot.
        booted: It runs.
        good: The back end calls it good.
        status: Of its last installation: "ok", "failed", "pending" (it was cut off), or "".
        version: Of the bundle that was installed last, "" if none was.
    """

    name: str
    bootname: str
    booted: bool
    good: bool
    status: str
    version: str


@dataclass(frozen=True, slots=True)
class Slots:
    """All slots, and the bootname of the one that the next boot takes."""

    all: tuple[Slot, ...]
    primary: str

    @property
    def booted(self) -> Slot:
        """The one that runs. Raises UpdateError if RAUC does not know."""
        for slot in self.all:
            if slot.booted and slot.bootname:
                return slot
        raise UpdateError(Code.UNSUPPORTED, "RAUC does not know from which slot this system runs")

    @property
    def other(self) -> Slot:
        """The one that is installed into. Raises UpdateError if there is none."""
        for slot in self.all:
            if slot.bootname and not slot.booted:
                return slot
        raise UpdateError(Code.UNSUPPORTED, "RAUC knows of one slot only")

    @property
    def interrupted(self) -> tuple[str, ...]:
        """Names of slots in which an installation was cut off."""
        return tuple(slot.name for slot in self.all if slot.status == "pending")


def slot(name: str, said: Mapping[str, Any]) -> Slot:
    """Return a slot of what RAUC says of it, without variants."""
    return Slot(
        name=name,
        bootname=str(said.get("bootname", "")),
        booted=said.get("state") == "booted",
        good=said.get("boot-status") == "good",
        status=str(said.get("status", "")),
        version=str(said.get("bundle.version", "")),
    )
