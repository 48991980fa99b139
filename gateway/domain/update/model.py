"""The words of updates: what is wanted, how far it has come, what happened, what to do next.

One machine for three kinds (machine.py); the order of states is drawn there.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from gateway.domain.update.order import Order, Window
from gateway.domain.update.words import Code, Kind, State, Step, Task

__all__ = [
    "Abort",
    "AskLease",
    "Cancelled",
    "CheckHealth",
    "Code",
    "Commit",
    "Done",
    "Failed",
    "Fetch",
    "Install",
    "Judged",
    "Kind",
    "Leased",
    "Offered",
    "Order",
    "Progressed",
    "Reboot",
    "Report",
    "Restore",
    "Resumed",
    "State",
    "Step",
    "Task",
    "Ticked",
    "Update",
    "UpdateCommand",
    "UpdateEvent",
    "Window",
    "Work",
]


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
        changes: Of state so far, but for downloads that pause; too many are a loop.
        attempts: How often each step has been begun, or gone wrong.
        reported: The source knows of this state.
        doing: What is under way.
        in_state_s: Time spent in this state, when this was written.
        at_s: When this was written, monotonic seconds of that boot.
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
    doing: Task = Task.NOTHING
    in_state_s: float = 0.0
    at_s: float = 0.0


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
    """The core's answer to AskLease: nothing speaks against it for now, or why it has to wait.

    Args:
        dead: It is no answer of the core, which does not run.
    """

    step: Step
    granted: bool
    reasons: tuple[str, ...] = ()
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Progressed:
    """Of the present state, 0 to 100."""

    percent: int


@dataclass(frozen=True, slots=True)
class Done:
    """What was to be done (fetch, install, commit, restore, abort) is done; a reboot: is under way."""


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
    """Somebody no longer wants it. Too late once it is being installed (os: once the machine restarts)."""

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
    """Start into what was installed (the boot loader is told again: a power cut forgets), or away from it."""


@dataclass(frozen=True, slots=True)
class CheckHealth:
    """Watch until all is as before, for a bounded time."""


@dataclass(frozen=True, slots=True)
class Commit:
    """What runs now is good and stays; only then is success reported."""


@dataclass(frozen=True, slots=True)
class Restore:
    """Bring the former version back, after `wait_s` seconds (os: mark this slot bad, before Reboot)."""

    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Abort:
    """Undo what was installed and never started, after `wait_s` seconds."""

    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """Tell source and people about the present state."""


Work: TypeAlias = AskLease | Fetch | Install | Reboot | CheckHealth | Commit | Restore | Abort
"""One at a time: a new one, or a final state, ends what is under way."""

UpdateCommand: TypeAlias = Work | Report
