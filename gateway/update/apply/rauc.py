"""RAUC: installs a bundle into the other slot, tells of slots, and marks what runs as good or bad.

Only the applier uses it, as root. Nothing is believed to have worked because a call returned: the service may
die, and be started again, at any moment; what counts is what it says of its slots afterwards.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.apply.rauc_bus import INTERFACE, NAME, RaucBus, RaucCallError, plain
from gateway.update.apply.rauc_errors import meaning
from gateway.update.apply.rauc_slots import Slot, Slots, slot

SILENT_S = 1200.0
"""An installation that says nothing for so long is given up; RAUC itself cannot be stopped."""
_PERCENT_MAX = 100
_TRIES = 5
_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is in a bundle whose signature RAUC has accepted."""

    format: str
    compatible: str
    version: str


class Rauc:
    """The service.

    Args:
        address: Of the bus; "" is the system's.
        silent_s: See SILENT_S.
    """

    def __init__(self, address: str = "", silent_s: float = SILENT_S) -> None:
        self._address = address
        self._silent_s = silent_s

    async def inspect(self, path: Path) -> Bundle:
        """Have the signature checked and return what is inside. Raises UpdateError."""
        async with RaucBus(self._address) as bus:
            return await _inspect(bus, path)

    async def install(self, path: Path, on_percent: Callable[[int], None]) -> None:
        """Write a bundle into the other slot and stage that; the next boot tries it.

        Raises:
            UpdateError: What RAUC refused it for; INTERRUPTED, passing, if its service died over it.
        """
        async with RaucBus(self._address) as bus:
            bundle = await _inspect(bus, path)
            told = _Progress(on_percent)
            try:
                await bus.call("InstallBundle", "sa{sv}", str(path), {})
            except RaucCallError as error:
                raise meaning(str(error)) from None
            if await self._completed(bus, told):
                return
            await _reconcile(bus, bundle)

    async def slots(self) -> Slots:
        """Return what there is. Raises UpdateError; BUSY, passing, during an installation."""
        async with RaucBus(self._address) as bus:
            return await _slots(bus)

    async def mark_good(self) -> None:
        """Commit the slot that runs. Raises UpdateError if it is not committed."""
        await self._mark("good", "booted")

    async def mark_bad(self) -> None:
        """Give up the slot that runs: from now on the other one is started. Raises UpdateError."""
        await self._mark("bad", "booted")

    async def try_other(self) -> None:
        """Stage the other slot for the next boot: a power cut forgets that it was. Raises UpdateError."""
        await self._mark("active", "other")

    async def stay(self) -> None:
        """Take back what was staged: the next boot is of the slot that runs. Raises UpdateError."""
        await self._mark("active", "booted")

    async def _mark(self, state: str, slot: str) -> None:
        async with RaucBus(self._address) as bus:
            try:
                await bus.call("Mark", "ss", state, slot)
            except RaucCallError as error:
                raise _of_call(error, Code.INSTALL_FAILED) from None

    async def _completed(self, bus: RaucBus, told: "_Progress") -> bool:
        """Wait for the end; return False if the service is gone. Raises UpdateError if it failed."""
        while True:
            try:
                async with asyncio.timeout(self._silent_s):
                    member, body = await bus.signals.get()
            except TimeoutError:
                detail = f"RAUC has said nothing for {self._silent_s:g} s; try: systemctl restart rauc"
                raise UpdateError(Code.INSTALL_FAILED, detail, passing=True) from None
            if member == "Completed":
                if body[0] == 0:
                    return True
                raise meaning(str(await bus.get("LastError")))
            if member == "NameOwnerChanged" and body[1]:
                return False
            if member == "PropertiesChanged" and body[0] == INTERFACE:
                told.take(plain(body[1]))


class _Progress:
    """Tells how far an installation has come, and nothing of an inspection, which looks the same."""

    def __init__(self, on_percent: Callable[[int], None]) -> None:
        self._on_percent = on_percent
        self._installing = False
        self._told = -1

    def take(self, changed: Mapping[str, Any]) -> None:
        """Take in what has changed, without variants."""
        self._installing = changed.get("Operation", "installing" if self._installing else "") == "installing"
        progress = changed.get("Progress")
        if not self._installing or not isinstance(progress, (list, tuple)) or not progress:
            return
        percent = min(_PERCENT_MAX, int(progress[0]))
        if percent > self._told:
            self._told = percent
            self._on_percent(percent)


async def _inspect(bus: RaucBus, path: Path) -> Bundle:
    try:
        [info] = await bus.call("InspectBundle", "sa{sv}", str(path), {})
    except RaucCallError as error:
        raise _of_call(error, Code.UNTRUSTED) from None
    update, bundle = (_table(plain(info), part) for part in ("update", "bundle"))
    return Bundle(
        format=str(bundle.get("format", "")),
        compatible=str(update.get("compatible", "")),
        version=str(update.get("version", "")),
    )


async def _slots(bus: RaucBus) -> Slots:
    try:
        [found] = await bus.call("GetSlotStatus")
        [primary] = await bus.call("GetPrimary")
    except RaucCallError as error:
        raise _of_call(error, Code.UNSUPPORTED) from None
    slots = tuple(slot(name, plain(said)) for name, said in found)
    return Slots(slots, next((one.bootname for one in slots if one.name == primary), ""))


async def _reconcile(bus: RaucBus, bundle: Bundle) -> None:
    """Return if the service had finished before it died. Raises UpdateError."""
    found = await _slots_again(bus)
    other = found.other
    if other.status == "ok" and other.version == bundle.version and found.primary == other.bootname:
        return
    detail = (
        f"RAUC's service ended during the installation; slot {other.bootname} is {other.status or 'empty'}"
    )
    raise UpdateError(Code.INTERRUPTED, detail, passing=True)


async def _slots_again(bus: RaucBus) -> Slots:
    """Return what there is once the service has been started again, which asking does. Raises UpdateError."""
    for _ in range(_TRIES):
        with suppress(UpdateError):
            return await _slots(bus)
        await asyncio.sleep(_PAUSE_S)
    return await _slots(bus)


def _of_call(error: RaucCallError, otherwise: str) -> UpdateError:
    """Return what a refused call means; what nobody has foreseen is `otherwise`."""
    found = meaning(str(error))
    return UpdateError(otherwise, str(found)) if found.code == Code.INSTALL_FAILED else found


def _table(info: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = info.get(name, {})
    return found if isinstance(found, Mapping) else {}


__all__ = ["NAME", "Bundle", "Rauc", "Slot", "Slots"]
