"""The configuration: checked as the daemon would, exchanged in one step, taken in, and put back on trouble.

Checks are done by `reed-gateway check-config` as the daemon's own user: what is signed is not for that reason
harmless to a parser that runs as root.
"""

import hashlib
import json
import os
import shutil
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway import durable
from gateway.domain.model import Json
from gateway.domain.update.model import Code, Kind
from gateway.errors import UpdateError
from gateway.update.apply import daemon, files
from gateway.update.apply.config_check import check
from gateway.update.apply.config_diff import difference
from gateway.update.apply.guard import DeadMan
from gateway.update.apply.pending import Pending, Trial
from gateway.update.apply.ports import OnPercent, Wanted
from gateway.update.trust.target import Device, Target

NAME = Kind.CONFIG.value
NEVER = "0"
"""The version of a configuration that only people have written: older than any."""

_START_S = 40.0
_MAX_BYTES = 1 << 20


class ConfigFile:
    """One file, `/etc/reed/gateway.toml`.

    Args:
        path: Of the configuration.
        home: Root's own folder.
        trial: What is on trial.
        guard: Acts when nobody commits.
        action: Tells how the daemon takes in the second file after the first: "" (nothing changes for it),
            "reload" or "restart".
    """

    def __init__(
        self,
        path: Path,
        home: Path,
        trial: Trial,
        guard: DeadMan,
        action: Callable[[Path, Path], str],
    ) -> None:
        self._path = path
        self._trial = trial
        self._guard = guard
        self._action = action
        self._offered = path.with_name(f".{path.name}.offered")
        self._former = home / "previous" / path.name
        self._memory = home / "config.json"

    def why_not(self) -> str:
        """Return why this machine cannot take it, or "" if it can."""
        if not self._path.is_file() or self._path.is_symlink():
            return f"{self._path} is not there, or a link to somewhere else; an update replaces a file"
        return "" if os.access(self._path.parent, os.W_OK) else f"{self._path.parent} is read-only"

    def version(self) -> str:
        """Return the version that was committed last or is on trial; "0" if none ever was."""
        pending, there = self._trial.read(), _sha256(self._path)
        if pending is not None and pending.kind == NAME and there == pending.sha256:
            return pending.version
        # a commit that a power cut has interrupted may still be undone by the guard
        is_former = there == self._known("former_sha256") and there != self._known("sha256")
        return (self._known("former_version") if is_former else self._known("version")) or NEVER

    def former(self) -> tuple[str, Path] | None:
        """Return version and file of the configuration before the last update."""
        version = self._known("former_version")
        return (version, self._former) if version and self._former.exists() else None

    def device(self) -> Device:
        """Return who we are. Raises UpdateError."""
        return Device(gateway=_gateway_id(_text(self._path)), running=self.version())

    def install(
        self, wanted: Wanted, target: Target, file: Path, on_percent: OnPercent
    ) -> Mapping[str, Json]:
        """Exchange the file, have the daemon take it in. Raises UpdateError; then the former one counts."""
        if self._trial.read() is not None:
            self.restore("another attempt")
        new, old = _text(file), _text(self._path)
        if wanted.target and not target.text("gateway"):
            raise UpdateError(Code.UNTRUSTED, f"{target.path} is signed without saying for which gateway")
        _require_same_gateway(new, old)
        self._offer(new)
        on_percent(20)
        try:
            check(self._offered, self._path)
            action = self._action(self._path, self._offered)
            on_percent(50)
            self._exchange(wanted, action)
        finally:
            self._offered.unlink(missing_ok=True)
        try:
            self._take_in(action)
        except UpdateError as error:
            self.restore(str(error))
            raise
        self._trial.installed()
        self._guard.count_anew()
        on_percent(100)
        return {"version": wanted.version, "action": action, "diff": difference(old, new)}

    def commit(self) -> Mapping[str, Json]:
        """The file stays. Raises OSError."""
        if (pending := self._trial.read()) is not None:
            known = {
                "version": pending.version,
                "sha256": pending.sha256,
                "former_version": pending.former_version,
                "former_sha256": _sha256(self._former),
            }
            durable.write(self._memory, json.dumps(known).encode())
            self._guard.disarm()
        return {"version": self.version()}

    def restore(self, why: str) -> Mapping[str, Json]:
        """Put the former file back, unless a person has edited this one. Raises UpdateError."""
        self._guard.restore(why)
        return {"version": self.version(), **self._trial.outcome()}

    def state(self) -> Mapping[str, Json]:
        """Return whether people have edited the file since it was committed, and what was before."""
        known, former = self._known("sha256"), self.former()
        return {
            "edited": bool(known) and known != _sha256(self._path),
            "former": former[0] if former is not None else "",
        }

    def _offer(self, text: str) -> None:
        """Lay it beside the file, with its owner and mode: paths in it are looked for from there."""
        files.require_space(self._path.parent, len(text.encode()))
        found = self._path.stat()
        durable.write(self._offered, text.encode(), 0o600)
        os.chown(self._offered, found.st_uid, found.st_gid)
        self._offered.chmod(found.st_mode & 0o7777)

    def _exchange(self, wanted: Wanted, action: str) -> None:
        files.folder(self._former.parent)
        shutil.copy2(self._path, self._former)
        found = self._path.stat()
        os.chown(self._former, found.st_uid, found.st_gid)
        files.sync(self._former)
        former, new = _sha256(self._former), _sha256(self._offered)
        life = daemon.life()
        self._trial.begin(
            Pending(
                NAME,
                wanted.target,
                wanted.version,
                self.version(),
                sha256=new,
                order_id=wanted.order_id,
                actor=wanted.actor,
            )
        )
        self._guard.arm(
            {
                "kind": NAME,
                "version": wanted.version,
                "former_version": self.version(),
                "former_file": str(self._former),
                "was_active": "no" if life.state == "inactive" else "yes",
                "config_file": str(self._path),
                "new_sha256": new,
                "former_sha256": former,
                "action": action,
            }
        )
        self._offered.rename(self._path)
        durable.sync_folder(self._path.parent)

    def _take_in(self, action: str) -> None:
        state = daemon.life().state
        if state == "inactive":
            return
        if state != "active":
            action = "restart"
        ended = daemon.take_in(action) if action else None
        if (ended is not None and ended.status) or not daemon.stays_up(_START_S):
            why = ended.last_words if ended is not None else "it does not run"
            raise UpdateError(Code.UNHEALTHY, f"the gateway does not come up with it: {why}")

    def _known(self, name: str) -> str:
        """Return what is remembered of the last commit, "" if nothing."""
        try:
            found = json.loads(self._memory.read_bytes())[name]
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        return found if isinstance(found, str) else ""


def _require_same_gateway(new: str, old: str) -> None:
    ours, theirs = _gateway_id(old), _gateway_id(new)
    if theirs != ours:
        detail = f"it would make gateway {theirs!r} of {ours!r}; who we are is settled by enrolling"
        raise UpdateError(Code.INCOMPATIBLE, detail)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise UpdateError(Code.INVALID, f"{path.name} has more than {_MAX_BYTES} bytes")
        return data.decode()
    except OSError as error:
        raise UpdateError(Code.INSTALL_FAILED, f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UpdateError(Code.INVALID, f"it is not UTF-8 (byte {error.start})") from None


def _gateway_id(text: str) -> str:
    try:
        found = tomllib.loads(text).get("gateway", {})
        return str(found.get("id", "")) if isinstance(found, dict) else ""
    except (ValueError, RecursionError) as error:
        raise UpdateError(Code.INVALID, f"it is not TOML: {error}") from None


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
