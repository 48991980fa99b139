"""The application: our Debian package, exchanged by apt, where the root file system can be written.

What has been installed and does not start goes at once; what starts is judged by the health gate, and the
dead man's guard (guard.py) brings the former package back if nobody comes to a verdict.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from gateway.domain.model import Json
from gateway.domain.update.model import Code, Kind
from gateway.errors import UpdateError
from gateway.update.apply import daemon, files, packages, programs
from gateway.update.apply.former import Former
from gateway.update.apply.guard import DeadMan
from gateway.update.apply.pending import Pending, Trial
from gateway.update.apply.ports import OnPercent, Wanted
from gateway.update.trust.target import Device, Target

NAME = Kind.APP.value

_CONFIG = "/etc/reed/gateway.toml"
_COMMAND = "/usr/bin/reed-gateway"
_USER = "reed-gateway"
_UNPACKED = 8
"""An unpacked package is about this many times as large as its file; dpkg keeps two for a while."""
_START_S = 40.0
_CHECK_S = 60.0


class App:
    """One package, `reed-gateway`.

    Args:
        home: Root's own folder.
        trial: What is on trial.
        guard: Acts when nobody commits.
    """

    def __init__(self, home: Path, trial: Trial, guard: DeadMan) -> None:
        self._trial = trial
        self._guard = guard
        self._former = Former(home / "previous")
        self._tried = home / "tried.deb"

    def why_not(self) -> str:
        """Return why this machine cannot take it, or "" if it can."""
        if os.statvfs("/usr").f_flag & os.ST_RDONLY:
            return "the root file system is read-only: the application comes with the system"
        try:
            packages.installed()
        except UpdateError as error:
            return str(error)
        return ""

    def version(self) -> str:
        """Return the version of the installed package. Raises UpdateError."""
        return packages.installed().version

    def device(self) -> Device:
        """Return what runs: a package suits every gateway. Raises UpdateError."""
        return Device(gateway="", running=self.version())

    def install(
        self, wanted: Wanted, target: Target, file: Path, on_percent: OnPercent
    ) -> Mapping[str, Json]:
        """Exchange the package. Raises UpdateError; then the former one runs."""
        self._put_in_order()
        former_version = self.version()
        _require_version(file, wanted, former_version)
        files.require_space(Path("/usr"), _UNPACKED * target.length_bytes)
        package = file.replace(self._tried)  # apt knows a package by the end of its name
        packages.require_fit(package)
        on_percent(10)
        was_active = daemon.is_active()
        self._begin(wanted, former_version, was_active)
        on_percent(30)
        try:
            packages.install(package)
            on_percent(80)
            _require_life(wanted.version, was_active)
        except UpdateError as error:
            raise self._undo(error) from None
        self._trial.installed()
        self._guard.count_anew()
        on_percent(100)
        return {"from_version": former_version, "version": wanted.version}

    def former(self) -> tuple[str, Path] | None:
        """Return version and file of the package before the last update. Raises UpdateError."""
        return self._former.before()

    def commit(self) -> Mapping[str, Json]:
        """Keep the new package, and its file to go back to. Raises UpdateError."""
        found = packages.installed()
        if not found.whole:
            raise UpdateError(Code.INSTALL_FAILED, f"{found.version} is not installed to its end")
        if self._trial.read() is not None:
            self._guard.disarm()  # first: until then its former package has to stay where it is
            if self._tried.exists():
                self._former.keep(self._tried)
        return {"version": found.version}

    def restore(self, why: str) -> Mapping[str, Json]:
        """Bring the former package back. Raises UpdateError if that did not work; the guard tries again."""
        self._guard.restore(why)
        self._tried.unlink(missing_ok=True)
        return {"version": self.version()}

    def repair(self) -> None:
        """Finish what dpkg was interrupted in. Raises UpdateError."""
        self._guard.repair()

    def state(self) -> Mapping[str, Json]:
        """Return whether an installation was interrupted. Raises UpdateError."""
        former = self.former()
        return {
            "interrupted": not packages.installed().whole,
            "former": former[0] if former is not None else "",
        }

    def _put_in_order(self) -> None:
        """What was tried and never judged goes first; so does what a person left half done."""
        if self._trial.read() is not None:
            self.restore("another attempt")
        if not packages.installed().whole:
            programs.must("dpkg", "--configure", "-a", "--force-confold", timeout_s=600.0)

    def _begin(self, wanted: Wanted, former_version: str, was_active: bool) -> None:
        former = self._former.running()
        pending = Pending(
            NAME,
            wanted.target,
            wanted.version,
            former_version,
            order_id=wanted.order_id,
            actor=wanted.actor,
        )
        self._trial.begin(pending)
        settings = {
            "kind": NAME,
            "version": wanted.version,
            "former_version": former_version,
            "former_file": str(former),
            "was_active": "yes" if was_active else "no",
        }
        self._guard.arm(settings)

    def _undo(self, error: UpdateError) -> UpdateError:
        """Return why it was taken back: what does not even install is not healthy, either."""
        detail = str(error)
        try:
            self.restore(detail)
        except UpdateError as second:
            detail = f"{detail}; and the former version is not back yet: {second}"
        return error if error.passing else UpdateError(Code.UNHEALTHY, detail)


def _require_version(file: Path, wanted: Wanted, running: str) -> None:
    version = packages.version_of(file)
    if version != wanted.version:
        detail = f"the package says {version}, the metadata say {wanted.version}"
        raise UpdateError(Code.INCOMPATIBLE, detail)
    if version == running:
        raise UpdateError(Code.OLDER, f"{version} runs already")


def _require_life(version: str, was_active: bool) -> None:
    """Raise UpdateError unless the new package is there and its daemon runs, not the old one."""
    found = packages.installed()
    if not found.whole or found.version != version:
        raise UpdateError(Code.INSTALL_FAILED, f"{version} is not installed to its end")
    if not was_active:
        return
    checked = programs.run(_COMMAND, "check-config", _CONFIG, timeout_s=_CHECK_S, user=_USER)
    if checked.status:
        detail = f"{version} refuses the configuration, or does not run: {checked.last_words}"
        raise UpdateError(Code.UNHEALTHY, detail)
    if not daemon.stays_up(_START_S):
        raise UpdateError(Code.UNHEALTHY, f"{version} does not start, or does not stay")
