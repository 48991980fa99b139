"""The fixed words of updates: kinds, states, steps, tasks and the codes that people and machines read."""

from enum import StrEnum


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


class Task(StrEnum):
    """What is under way by order of the machine; an answer to anything else does not count."""

    NOTHING = ""
    ASK = "ask"
    FETCH = "fetch"
    INSTALL = "install"
    REBOOT = "reboot"
    CHECK = "check"
    COMMIT = "commit"
    RESTORE = "restore"
    ABORT = "abort"


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
