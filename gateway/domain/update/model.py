"""The words of updates: what is wanted, how far it has come, what happened, what to do next.

One machine for three kinds (machine.py); the order of states is drawn there.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


class Kind(StrEnum):
    """What is replaced."""

    OS = "os"
    """The whole system, into the other slot; needs a reboot."""
    APP = "app"
    """Our packages, where there are no slots."""
    CONFIG = "config"
    """The configuration of the daemon."""


class State(StrEnum):
    """How far an update has come. The last five are final."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    WAITING = "waiting"
    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    REBOOTING = "rebooting"
    VERIFYING = "verifying"
    ROLLING_BACK = "rolling_back"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """Before anything was changed, or nothing remains of the change."""
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled_back"
    """What was installed did not pass the health gate, or did not start; the former version runs."""

    @property
    def final(self) -> bool:
        """Nothing more happens."""
        return self in _FINAL


_FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.REJECTED, State.CANCELLED, State.ROLLED_BACK})


class Step(StrEnum):
    """What an update waits to do."""

    DOWNLOAD = "download"
    INSTALL = "install"
    REBOOT = "reboot"


class Code(StrEnum):
    """Why an update is not, or no longer, under way. Written to people and machines; never renamed."""

    BUSY = "busy"
    """Another update is under way."""
    UNSUPPORTED = "unsupported"
    """This machine cannot take this kind, e.g. there is one slot only."""
    UNTRUSTED = "untrusted"
    """A signature, a hash or a length is wrong, or the metadata does not name it."""
    EXPIRED = "expired"
    """The metadata is too old; somebody may be holding newer ones back."""
    OLDER = "older"
    """It is older than what runs, or than what was seen before."""
    INCOMPATIBLE = "incompatible"
    """It is for another device, or needs another version first."""
    UNREACHABLE = "unreachable"
    NO_SPACE = "no_space"
    INVALID = "invalid"
    """The configuration does not pass the checks."""
    UNSAFE = "unsafe"
    """The configuration would lower protection; only a person at the building may do that."""
    INSTALL_FAILED = "install_failed"
    NOT_STARTED = "not_started"
    """The other slot was to be tried, and the machine came back in the old one."""
    UNHEALTHY = "unhealthy"
    """The health gate did not pass; the detail says what it missed."""
    INTERRUPTED = "interrupted"
    """Power was cut while it was installed, too often."""
    TIMEOUT = "timeout"
    """The deadline for the whole update has passed."""
    LOOP = "loop"
    """Too many changes of state: something goes round in circles."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Window:
    """Part of each day, local time, in which an update may disturb; over midnight if `until` is smaller."""

    from_min: int
    until_min: int


@dataclass(frozen=True, slots=True)
class Order:
    """An update that somebody wants.

    Args:
        id: Of the update, given by its source: the same id is the same update for ever.
        kind: What is replaced.
        target: Path of the target in the signed metadata, e.g. "os/reed-1.4.0.raucb".
        version: That the target must have.
        source: Who is told: "cloud", "hawkbit" or "local".
        actor: Who wants it.
        window: When it may be installed; None: at any time.
        deadline_s: The whole update may take this long, waiting included, seconds.
        downgrade: An older version is meant; app and config only, and the metadata must say so, too.
    """

    id: str
    kind: Kind
    target: str
    version: str
    source: str = "local"
    actor: str = ""
    window: Window | None = None
    deadline_s: float = 7 * 86_400.0
    downgrade: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """One update and how far it has come; what the record on disk holds.

    Args:
        order: What is wanted.
        state: How far it has come.
        next: While WAITING: what for.
        code: Why it is over or what it waits for, "" while all is well.
        detail: The same in words.
        percent: Of the present state, 0 to 100.
        from_version: What ran before.
        left_s: Of the deadline, when this was written.
        changes: Of state so far; too many are a loop.
        attempts: How often each step has been begun.
        reported: The source knows of this state.
    """

    order: Order
    state: State
    next: Step = Step.DOWNLOAD
    code: str = ""
    detail: str = ""
    percent: int = 0
    from_version: str = ""
    left_s: float = 7 * 86_400.0
    changes: int = 0
    attempts: dict[str, int] = field(default_factory=dict)
    reported: bool = False


# --- what happened --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offered:
    """A source wants this, perhaps not for the first time."""

    order: Order
    from_version: str = ""
    refuse: str = ""
    """Code for which it cannot be taken at all."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Leased:
    """The core's answer to AskLease: nothing speaks against it for now, or why it has to wait."""

    granted: bool
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Progressed:
    """Of the present state, 0 to 100."""

    percent: int


@dataclass(frozen=True, slots=True)
class Done:
    """What was to be done (fetch, install, restore) is done."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be done.

    Args:
        passing: Worth trying again later (no network, a cut connection, a full disk).
    """

    code: Code
    detail: str
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Resumed:
    """The runner has started; the record was read.

    Args:
        rebooted: The machine has been started since the record was written.
        version: That runs now, of the kind of the update.
        trial: The system runs from the slot that is on trial.
        pending: The other slot, or the package manager, has an interrupted installation.
    """

    rebooted: bool
    version: str
    trial: bool = False
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """The health gate's verdict; `missed` says what is not as before."""

    healthy: bool
    missed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody no longer wants it. Too late once it is being verified."""

    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passes."""


UpdateEvent: TypeAlias = Offered | Leased | Progressed | Done | Failed | Resumed | Judged | Cancelled | Ticked

# --- what to do about it --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskLease:
    """Ask the core whether `step` may be taken now, after `wait_s` seconds."""

    step: Step
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Fetch:
    """Download and verify the target, after `wait_s` seconds."""

    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Install:
    """Install what was fetched (app, config: this includes the restart or reload)."""


@dataclass(frozen=True, slots=True)
class Reboot:
    """Start into what was installed, or away from it."""


@dataclass(frozen=True, slots=True)
class CheckHealth:
    """Watch until all is as before, for a bounded time."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What runs now is good and stays; only then is success reported."""


@dataclass(frozen=True, slots=True)
class Restore:
    """Bring the former version back (os: mark this slot bad, before Reboot)."""


@dataclass(frozen=True, slots=True)
class Report:
    """Tell source and people about the present state."""


UpdateCommand: TypeAlias = AskLease | Fetch | Install | Reboot | CheckHealth | Commit | Restore | Report
