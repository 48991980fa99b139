"""Our Debian package as dpkg and apt know it: what runs, what a file holds, whether it fits, its exchange."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.apply import programs

_log = logging.getLogger(__name__)

PACKAGE = "reed-gateway"

_ASK_S = 60.0
_INSTALL_S = 600.0
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*")
_CHANGE = re.compile(r"^(Inst|Remv|Purg) (\S+)", re.MULTILINE)
_OPTIONS = ("--yes", "--quiet", "--no-install-recommends", "--allow-downgrades")
_REASON = re.compile(r"Depends:|Breaks:|Conflicts:|subprocess|No space|dpkg: error|dpkg-deb: error")
_WAIT_FOR_OTHERS = "DPkg::Lock::Timeout=120"
"""Seconds that another apt may take, e.g. unattended upgrades."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What dpkg says of our package; `whole` is false in the middle of an installation."""

    version: str
    whole: bool


def installed() -> Installed:
    """Return what dpkg knows. Raises UpdateError (UNSUPPORTED) if the package was never there."""
    words = ("--show", "--showformat", "${db:Status-Status} ${db:Status-Eflag} ${Version}", PACKAGE)
    ended = programs.run("dpkg-query", *words, timeout_s=_ASK_S)
    status, _, rest = ended.said.strip().partition(" ")
    flag, _, version = rest.partition(" ")
    if ended.status or not version:
        raise UpdateError(Code.UNSUPPORTED, f"{PACKAGE} was not installed as a Debian package")
    return Installed(version, status == "installed" and flag == "ok")


def version_of(file: Path) -> str:
    """Return the version of a package file. Raises UpdateError (INCOMPATIBLE) if it is not ours."""
    fields = "--showformat=${Package} ${Version}"
    ended = programs.run("dpkg-deb", "--show", fields, str(file), timeout_s=_ASK_S)
    name, _, version = ended.said.strip().partition(" ")
    if ended.status or not _NAME.fullmatch(name):
        raise UpdateError(Code.INCOMPATIBLE, "the target is no Debian package")
    if name != PACKAGE:
        raise UpdateError(Code.INCOMPATIBLE, f"the target is the package {name}, not {PACKAGE}")
    return version


def sums_of(file: Path) -> str:
    """Return the list of hashes in a package file, which tells two builds of a version apart; "" if none."""
    ended = programs.run("dpkg-deb", "--info", str(file), "md5sums", timeout_s=_ASK_S)
    return "" if ended.status else ended.said


def sums_of_installed() -> str:
    """Return the same of the installed package."""
    ended = programs.run("dpkg-query", "--control-show", PACKAGE, "md5sums", timeout_s=_ASK_S)
    return "" if ended.status else ended.said


def require_fit(file: Path) -> None:
    """Raise UpdateError (INSTALL_FAILED) unless this package, and nothing else, would be exchanged."""
    ended = programs.run("apt-get", "--simulate", *_OPTIONS, "install", str(file), timeout_s=_ASK_S)
    if ended.status:
        raise UpdateError(Code.INSTALL_FAILED, f"apt would not install it: {_complaint(ended)}")
    others = sorted({name for what, name in _CHANGE.findall(ended.said) if (what, name) != ("Inst", PACKAGE)})
    if others:
        detail = f"it would also change {', '.join(others)}; such an update comes with the system"
        raise UpdateError(Code.INSTALL_FAILED, detail)


def install(file: Path) -> None:
    """Exchange the package; its postinst restarts the daemon. Raises UpdateError (INSTALL_FAILED, BUSY)."""
    words = ("-o", _WAIT_FOR_OTHERS, "-o", "Dpkg::Options::=--force-confold")
    ended = programs.run("apt-get", *_OPTIONS, *words, "install", str(file), timeout_s=_INSTALL_S)
    told = [line for line in ended.said.splitlines() if line and not line.startswith("(Reading")]
    _log.info("apt: %s", "\n".join(told))
    if ended.status and "Could not get lock" in ended.said:
        raise UpdateError(Code.BUSY, "another package manager is at work", passing=True)
    if ended.status:
        raise UpdateError(Code.INSTALL_FAILED, f"the package cannot be installed: {_complaint(ended)}")


def _complaint(ended: programs.Ended) -> str:
    """Return what apt or dpkg complains of, in one line."""
    lines = [line.strip() for line in ended.said.splitlines()]
    why = [line for line in lines if _REASON.search(line)] or [
        line for line in lines if line.startswith("E:")
    ]
    return "; ".join(why[-3:])[:400] or ended.last_words
