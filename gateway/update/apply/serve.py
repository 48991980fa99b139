"""The verbs of the applier: who asks is heard, and nobody is believed."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.domain.model import Json
from gateway.domain.update.model import Code, Step
from gateway.errors import UpdateError
from gateway.update.apply import files
from gateway.update.apply.lock import held
from gateway.update.apply.pending import Trial
from gateway.update.apply.ports import Kind, OnPercent, Trust, Wanted
from gateway.update.apply.protocol import Request
from gateway.update.trust.target import Target, check_fits

_log = logging.getLogger(__name__)

_WAIT_S = 5.0
_DETAIL_CHARS = 1000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the applier may ask, and of whom.

    Args:
        peer: Who asks, for the log.
        allowed: The kinds that the configuration of this machine takes.
        objections: Asks the daemon whether a step may be taken now; returns why not, nothing if it may, or if
            there is no daemon that could say so.
        reboot: Starts the machine again.
        spool: Folder in which the runner leaves targets; nothing in it is believed.
        gateway: Our id; "" if we have none yet.
    """

    peer: str
    allowed: frozenset[str]
    objections: Callable[[Step], tuple[str, ...]]
    reboot: Callable[[], None]
    spool: Path
    gateway: str = ""


class Applier:
    """Does one verb.

    Args:
        home: Root's own folder.
        trust: Opens what judges targets; only when there is one, as python-tuf is large.
        kinds: What can be installed.
        around: Everybody else.
    """

    def __init__(
        self, home: Path, trust: Callable[[], Trust], kinds: Mapping[str, Kind], around: Surroundings
    ) -> None:
        self._home = home
        self._trust = trust
        self._kinds = kinds
        self._around = around
        self._trial = Trial(home)

    def do(self, request: Request, on_percent: OnPercent) -> Mapping[str, Json]:
        """Do what is asked for and return the answer. Raises UpdateError, OSError."""
        if request.verb == "state":
            return self._state()
        with held(self._home / "lock", _WAIT_S):
            match request.verb:
                case "install":
                    return self._install(request, on_percent)
                case "commit":
                    return self._commit(request)
                case "restore" | "abort":
                    return self._restore(request)
                case "reboot":
                    return self._restart_machine(request)
        raise UpdateError(Code.INVALID, f"there is no verb {request.verb[:40]!r}")

    # --- verbs --------------------------------------------------------------------------------------

    def _install(self, request: Request, on_percent: OnPercent) -> Mapping[str, Json]:
        wanted = Wanted(
            kind=request.text("kind"),
            target=request.text("target"),
            version=request.text("version"),
            downgrade=request.flag("downgrade"),
            order_id=request.text("id", ""),
            actor=request.text("actor", ""),
        )
        if not wanted.version:  # the metadata would call any right, and the memory none
            raise UpdateError(Code.INVALID, "install: version is missing")
        kind = self._supported(wanted.kind)
        taken = files.folder(self._home / "taken") / f"{wanted.kind}.target"
        try:
            target = self._take(wanted, kind, taken) if wanted.target else _take_former(wanted, kind, taken)
            self._require_peace(Step.INSTALL)
            self._tell(f"install {wanted.kind} {wanted.version}", wanted.order_id, wanted.actor)
            return kind.install(wanted, target, taken, on_percent)
        finally:
            taken.unlink(missing_ok=True)

    def _take(self, wanted: Wanted, kind: Kind, taken: Path) -> Target:
        """Have root's own copy of a target, and believe it only then."""
        trust = self._trust()
        target = trust.target(wanted.target, wanted.kind, wanted.version)
        device = kind.device()
        device = replace(device, gateway=device.gateway or self._around.gateway)
        check_fits(target, device, downgrade=wanted.downgrade)
        files.take(self._around.spool / target.file_name, taken, target.length_bytes)
        trust.verify(taken, target)
        return target

    def _commit(self, request: Request) -> Mapping[str, Json]:
        name = request.text("kind")
        kind = self._known(name)
        self._require_trial(name, kind, request.text("version", ""))
        self._tell(f"commit {name}", request.text("id", ""), request.text("actor", ""))
        return kind.commit()

    def _restore(self, request: Request) -> Mapping[str, Json]:
        name = request.text("kind")
        kind = self._known(name)
        pending = self._trial.read()
        if name != "os" and (pending is None or pending.kind != name):
            return {"version": kind.version()}
        why = _plain(request.text("detail", "")) or request.verb
        self._tell(f"{request.verb} {name}: {why}", request.text("id", ""), request.text("actor", ""))
        return kind.restore(why)

    def _restart_machine(self, request: Request) -> Mapping[str, Json]:
        """Start the machine again, `into` what was installed ("new") or away from it."""
        self._require_peace(Step.REBOOT)
        stage: Callable[[], None] | None = getattr(self._kinds.get("os"), "stage", None)
        if request.text("into", "") == "new" and stage is not None:
            stage()
        self._tell("reboot", request.text("id", ""), "")
        self._around.reboot()
        return {}

    def _state(self) -> Mapping[str, Json]:
        pending = self._trial.read()
        return {
            "kinds": {name: self._state_of(name, kind) for name, kind in self._kinds.items()},
            "pending": None if pending is None else pending.as_json(),
            "outcome": self._trial.outcome(),
        }

    def _state_of(self, name: str, kind: Kind) -> dict[str, Json]:
        try:
            why = kind.why_not() or self._forbidden(name)
            if kind.why_not():
                return {"supported": False, "why": why, "version": ""}
            return {"supported": not why, "why": why, "version": kind.version(), **kind.state()}
        except UpdateError as error:
            return {"supported": False, "why": str(error), "version": ""}

    # --- conditions ---------------------------------------------------------------------------------

    def _known(self, name: str) -> Kind:
        kind = self._kinds.get(name)
        if kind is None:
            raise UpdateError(Code.UNSUPPORTED, f"there is no kind {name[:40]!r}")
        return kind

    def _supported(self, name: str) -> Kind:
        kind = self._known(name)
        if why := kind.why_not() or self._forbidden(name):
            raise UpdateError(Code.UNSUPPORTED, f"{name}: {why}")
        return kind

    def _forbidden(self, name: str) -> str:
        return (
            "" if name in self._around.allowed else "update.allow in /etc/reed/gateway.toml does not name it"
        )

    def _require_peace(self, step: Step) -> None:
        """Raise UpdateError (BUSY, passing) while the running daemon objects."""
        if reasons := self._around.objections(step):
            raise UpdateError(Code.BUSY, f"not now: {', '.join(reasons)}", passing=True)

    def _require_trial(self, name: str, kind: Kind, version: str) -> None:
        """Raise UpdateError if something else is on trial, or runs again: only what is judged is kept."""
        pending, outcome = self._trial.read(), self._trial.outcome()
        if name == "os":  # RAUC and its back end keep that
            return
        if pending is not None and (name, version or pending.version) != (pending.kind, pending.version):
            detail = f"{pending.kind} {pending.version} is on trial, not {name} {version}"
            raise UpdateError(Code.INVALID, detail.rstrip())
        if pending is None and outcome.get("kind") == name:
            raise UpdateError(Code.UNHEALTHY, f"it was restored before: {outcome.get('detail', '')}")
        if pending is None and version and (there := kind.version()) != version:
            raise UpdateError(Code.UNHEALTHY, f"{name} {there} runs, not {version}")

    def _tell(self, what: str, order_id: str, actor: str) -> None:
        about = f" (update {order_id!r} of {actor!r})" if order_id or actor else ""
        _log.info("%s: %s%s", self._around.peer, what, about)


def _plain(text: str) -> str:
    """Return a text that goes into the journal and to programs: one line of bounded length."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:_DETAIL_CHARS]).strip()


def _take_former(wanted: Wanted, kind: Kind, taken: Path) -> Target:
    """Have a copy of what ran before; it was verified when it came. Raises UpdateError (UNSUPPORTED)."""
    former = kind.former()
    if former is None or former[0] != wanted.version:
        there = f"; there is {former[0]}" if former is not None else ""
        raise UpdateError(Code.UNSUPPORTED, f"{wanted.kind} {wanted.version} was not kept{there}")
    length_bytes = former[1].stat().st_size
    files.take(former[1], taken, length_bytes)
    return Target("", length_bytes, "", {"kind": wanted.kind, "version": wanted.version})
