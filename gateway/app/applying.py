"""Puts the privileged half of updates together: one request from whoever is connected, then it ends.

It runs as root and reads nothing that the daemon's user may write but what it then verifies. What it needs
after a package was exchanged under its feet is imported here; the rest only where it is used, before that.
"""

import logging
import os
import pwd
import signal
import socket
import struct
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from gateway.app import log
from gateway.app.clock import WallClock
from gateway.control.client import Client
from gateway.domain.update.model import Code, Step
from gateway.errors import ConfigError, ControlError, GatewayError, UpdateError
from gateway.update.apply import files, programs
from gateway.update.apply.app import App
from gateway.update.apply.config_file import ConfigFile
from gateway.update.apply.guard import DeadMan
from gateway.update.apply.pending import Trial
from gateway.update.apply.ports import Kind, Trust
from gateway.update.apply.protocol import Answers, Request, read_request
from gateway.update.apply.serve import Applier, Surroundings
from gateway.update.apply.system import System
from gateway.update.config import Config as UpdateConfig

_log = logging.getLogger(__name__)

HOME = Path("/var/lib/reed-apply")
CONFIG = Path("/etc/reed/gateway.toml")
SOCKET = Path("/run/reed/org.reed.Gateway")
SPOOL = Path("/var/lib/reed/update/spool")

_USERS = frozenset({"root", "reed-gateway"})
_LONGER_S = 600.0
"""The guard waits this much longer than the health gate."""
_MAX_BYTES = 1 << 20
_LEASE_S = 5.0
_REQUEST_S = 30.0
_REBOOT_S = 60.0


def answer(given: BinaryIO, wanted: BinaryIO, guard_s: float | None = None) -> int:
    """Answer one request; return the exit status. Whoever asks never sees a traceback.

    Args:
        given: Where the request comes from.
        wanted: Where the answers go.
        guard_s: What is never committed goes after this time; None: by the configuration.
    """
    log.set_up()
    answers = Answers(wanted)
    try:
        peer = _peer(given.fileno())
        request = _request(given)
        answers.ok(_applier(peer, guard_s).do(request, answers.percent))
    except UpdateError as error:
        _log.warning("refused: %s: %s", error.code, error)
        answers.error(error)
    except (GatewayError, OSError) as error:
        _log.error("failed: %s", error)
        answers.error(UpdateError(Code.INSTALL_FAILED, str(error), passing=True))
    except Exception:  # noqa: BLE001  # whoever asks has to know that it is over
        _log.exception("a bug")
        answers.error(UpdateError(Code.INSTALL_FAILED, "a bug in the applier; see its journal"))
        return GatewayError.exit_status
    return 0


def _request(given: BinaryIO) -> Request:
    """Return the request. Raises UpdateError if none comes: few may be connected at a time."""

    def give_up(_number: int, _frame: object) -> None:
        raise UpdateError(Code.INVALID, f"no request came within {_REQUEST_S:g} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, _REQUEST_S)
    try:
        return read_request(given)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _applier(peer: str, guard_s: float | None) -> Applier:
    home = files.folder(HOME)
    settings = _settings()
    trial = Trial(home)
    guard = DeadMan(home, guard_s or settings.health_timeout_s + _LONGER_S)
    kinds: dict[str, Kind] = {
        "os": System(home),
        "app": App(home, trial, guard),
        "config": ConfigFile(CONFIG, home, trial, guard, _action),
    }
    gateway_id = str(_table("gateway").get("id", ""))
    allowed = frozenset(settings.allow)
    around = Surroundings(peer, allowed, _objections, _reboot, SPOOL / "targets", gateway_id)
    return Applier(home, lambda: _trust(home), kinds, around)


def _trust(home: Path) -> Trust:
    # python-tuf and what it brings: not for a verb that installs nothing
    from gateway.update.trust.fetchers import FolderFetcher  # noqa: PLC0415
    from gateway.update.trust.trusted import Trusted, judged_at, root_file  # noqa: PLC0415

    def now() -> datetime:
        clock = WallClock()
        return judged_at(clock.trusted_unix_s(), clock.floor_unix_s)

    return Trusted(home / "tuf", root_file(), FolderFetcher(SPOOL / "metadata"), now)


def _settings() -> UpdateConfig:
    """Return `[update]`; mistakes elsewhere in the file must not keep away the one without them."""
    table = _table("update")
    known = {name: table[name] for name in ("health_timeout_s", "allow") if name in table}
    try:
        if "allow" in known:
            known["allow"] = tuple(known["allow"])
        return UpdateConfig(**known)
    except (TypeError, ConfigError):
        return UpdateConfig()


def _table(name: str) -> dict[str, Any]:
    """Return a table of the configuration, as it stands there."""
    try:
        with CONFIG.open("rb") as file:
            table = tomllib.loads(file.read(_MAX_BYTES).decode()).get(name, {})
    except (OSError, ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}


def _peer(descriptor: int) -> str:
    """Return who is connected. Raises UpdateError if it is nobody that may be."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:  # no socket: somebody at a terminal
        uid = os.getuid()
    else:
        _, uid, _ = struct.unpack("3i", found)
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = ""
    if name not in _USERS:
        raise UpdateError(Code.UNTRUSTED, f"uid {uid} may not ask for this")
    return name


def _action(old: Path, new: Path) -> str:
    """Return how the daemon takes in `new` after `old`."""
    from gateway.app.reload import changes  # noqa: PLC0415  # all sensors and drivers
    from gateway.config.read import read  # noqa: PLC0415

    try:
        before = read(old)
    except ConfigError:
        return "restart"
    found = changes(before, read(new), files_changed=False)
    return "restart" if found.restart else "reload" if found.at_once else ""


def _objections(step: Step) -> tuple[str, ...]:
    """Ask the daemon; one that does not run objects to nothing."""
    path = Path(str(_table("control").get("socket", SOCKET)))
    try:
        with Client(path) as client:
            lease = client.call("RequestLease", timeout_s=_LEASE_S, step=step.value)
    except ControlError as error:
        _log.info("nobody gives a lease: %s", error)
        return ()
    return () if lease.get("granted") else tuple(map(str, lease.get("reasons") or ["the gateway objects"]))


def _reboot() -> None:
    programs.must("systemctl", "reboot", timeout_s=_REBOOT_S)
