"""The whole system: a RAUC bundle goes into the other slot, which is then tried once (docs/updates.md)."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from gateway.domain.model import Json
from gateway.domain.update.model import Code, Kind
from gateway.errors import UpdateError
from gateway.update.apply import programs
from gateway.update.apply.ports import OnPercent, Wanted
from gateway.update.trust.target import Device, Target
from gateway.update.trust.versions import older

if TYPE_CHECKING:
    from gateway.update.apply.rauc import Bundle, Slots

NAME = Kind.OS.value

_TRYBOOT_S = 90.0

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Places:
    """Where an A/B image has what belongs to its slots.

    Args:
        settings: Of RAUC; without them there are no slots.
        image: Says compatible and version of what runs.
        tryboot: The boot loader's back end.
        last: Its note of how the last trial ended.
    """

    settings: Path = Path("/etc/rauc/system.conf")
    image: Path = Path("/etc/reed-image")
    tryboot: Path = Path("/usr/lib/reed/rauc-tryboot")
    last: Path = Path("/data/reed-boot/last")


class Installer(Protocol):
    """RAUC, as rauc.py knows it. Raises UpdateError."""

    async def inspect(self, path: Path) -> "Bundle":
        """Return what is in a bundle."""

    async def install(self, path: Path, on_percent: OnPercent) -> None:
        """Write it into the other slot and stage that."""

    async def slots(self) -> "Slots":
        """Return what there is."""

    async def mark_good(self) -> None:
        """Commit what runs."""

    async def mark_bad(self) -> None:
        """Give up what runs."""

    async def try_other(self) -> None:
        """Stage the other slot for the next boot."""

    async def stay(self) -> None:
        """Take back what is staged."""


class System:
    """Two slots of an A/B image.

    Args:
        home: Root's own folder.
        rauc: The installer; None: RAUC on the system bus.
        places: Where things are.
    """

    def __init__(self, home: Path, rauc: Installer | None = None, places: Places | None = None) -> None:
        self._bundle = home / "tried.raucb"
        self._given = rauc
        self._places = places or Places()

    def why_not(self) -> str:
        """Return why this machine cannot take it, or "" if it can."""
        for path in (self._places.settings, self._places.image, self._places.tryboot):
            if not path.exists():
                return f"this is no system with two slots: there is no {path}"
        return ""

    def version(self) -> str:
        """Return the version of the system that runs, "" if it does not say."""
        return self._says().get("version", "")

    def device(self) -> Device:
        """Return what runs, and on what."""
        said = self._says()
        return Device(gateway="", compatible=said.get("compatible", ""), running=said.get("version", ""))

    def former(self) -> tuple[str, Path] | None:
        """Return None: the other slot is no file, and older systems come under a higher version only."""
        return None

    def install(
        self, wanted: Wanted, target: Target, file: Path, on_percent: OnPercent
    ) -> Mapping[str, Json]:
        """Write the other slot and stage it. Raises UpdateError; then the next boot is of what runs."""
        if self._is_trial():
            detail = "this system is on trial; commit it or leave it first"
            raise UpdateError(Code.BUSY, detail, passing=True)
        from_version = self.version()
        bundle = file.replace(self._bundle)  # so that RAUC's log and people know what it is
        try:
            self._check(_wait(self._rauc().inspect(bundle)), wanted)
            _wait(self._rauc().install(bundle, on_percent))
        finally:
            bundle.unlink(missing_ok=True)
        return {"from_version": from_version, "version": target.version}

    def commit(self) -> Mapping[str, Json]:
        """Keep what runs. Raises UpdateError if it is not kept."""
        _wait(self._rauc().mark_good())
        if self._is_trial():
            raise UpdateError(Code.INSTALL_FAILED, "RAUC has marked the slot good, but it is not committed")
        return {"version": self.version()}

    def stage(self) -> None:
        """Have the other slot tried at the next boot: a power cut forgets that. Raises UpdateError."""
        if self._is_trial():
            raise UpdateError(Code.BUSY, "this system is on trial; commit it or leave it first", passing=True)
        found = _wait(self._rauc().slots())
        if found.interrupted or found.other.status != "ok":
            raise UpdateError(Code.NOT_STARTED, "the other slot is not whole; install it again")
        if older(found.other.version, self.version()):  # the way back after a commit is a higher version
            detail = f"slot {found.other.bootname} has {found.other.version}, older than what runs"
            raise UpdateError(Code.OLDER, detail)
        _wait(self._rauc().try_other())

    def restore(self, why: str) -> Mapping[str, Json]:
        """Give a trial up, or take back what is staged; a reboot does the rest. Raises UpdateError."""
        rauc = self._rauc()
        _wait(rauc.mark_bad() if self._is_trial() else rauc.stay())
        return {"version": self.version(), "detail": why}

    def state(self) -> Mapping[str, Json]:
        """Return slots, and whether this is a trial or an installation was cut off.

        `last`: how the last trial ended, if not by a commit: "B fell-back" or "B not-tried".

        Raises:
            UpdateError: RAUC does not answer.
        """
        found = _wait(self._rauc().slots())
        slots: dict[str, Json] = {
            slot.bootname: {"version": slot.version, "good": slot.good, "status": slot.status}
            for slot in found.all
            if slot.bootname
        }
        return {
            "compatible": self.device().compatible,
            "trial": self._is_trial(),
            "interrupted": bool(found.interrupted),
            "booted": found.booted.bootname,
            "primary": found.primary,
            "slots": slots,
            "last": self._last_trial(),
        }

    def _check(self, bundle: "Bundle", wanted: Wanted) -> None:
        """Raise UpdateError unless the bundle is what the metadata say."""
        if bundle.format != "verity":
            raise UpdateError(Code.UNTRUSTED, f"the bundle is of format {bundle.format!a}, not verity")
        ours = self.device().compatible
        if bundle.compatible != ours:
            detail = f"the bundle is for {bundle.compatible[:80]!a}; this is {ours!a}"
            raise UpdateError(Code.INCOMPATIBLE, detail)
        if bundle.version != wanted.version:
            detail = f"the bundle has version {bundle.version[:80]!a}, not {wanted.version!a}"
            raise UpdateError(Code.UNTRUSTED, detail)

    def _is_trial(self) -> bool:
        ended = programs.run(str(self._places.tryboot), "is-trial", timeout_s=_TRYBOOT_S)
        if ended.status not in (0, 1):
            raise UpdateError(Code.UNSUPPORTED, ended.last_words)
        return ended.status == 0

    def _last_trial(self) -> str:
        try:
            return self._places.last.read_text("utf-8", "replace").strip()
        except OSError:
            return ""

    def _says(self) -> dict[str, str]:
        try:
            lines = self._places.image.read_text("utf-8", "replace").splitlines()
        except OSError:
            return {}
        return {name: value for name, equals, value in (line.partition("=") for line in lines) if equals}

    def _rauc(self) -> Installer:
        if self._given is None:
            from gateway.update.apply.rauc import Rauc  # noqa: PLC0415  # D-Bus only where there are slots

            self._given = Rauc()
        return self._given


def _wait(work: Coroutine[Any, Any, _T]) -> _T:
    """Return what the installer answers; the applier is a process for one request."""
    return asyncio.run(work)
