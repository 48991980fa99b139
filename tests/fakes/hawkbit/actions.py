"""Actions of hawkBit and what a device's feedback does to them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

MOST_MESSAGES = 1000


class Status(StrEnum):
    """Of an action, as hawkBit calls it."""

    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    RETRIEVED = "RETRIEVED"
    WAIT_FOR_CONFIRMATION = "WAIT_FOR_CONFIRMATION"
    CANCELING = "CANCELING"
    CANCEL_REJECTED = "CANCEL_REJECTED"
    CANCELED = "CANCELED"
    DOWNLOAD = "DOWNLOAD"
    DOWNLOADED = "DOWNLOADED"
    WARNING = "WARNING"
    FINISHED = "FINISHED"
    ERROR = "ERROR"


class Handling(StrEnum):
    """Type of an assignment."""

    SOFT = "soft"
    FORCED = "forced"
    DOWNLOAD_ONLY = "downloadonly"


@dataclass(frozen=True)
class Module:
    """A software module; `metadata` is visible to targets."""

    type: str
    name: str
    version: str
    artifacts: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DistributionSet:
    """What is installed together."""

    name: str
    version: str
    modules: tuple[Module, ...]


@dataclass
class Entry:
    """A line of an action's history."""

    status: Status
    code: int | None
    messages: list[str]
    percent: int | None = None


@dataclass
class Action:
    """One distribution set for one target."""

    id: int
    controller_id: str
    distribution: DistributionSet
    handling: Handling = Handling.FORCED
    status: Status = Status.RUNNING
    active: bool = True
    window: Literal["available", "unavailable"] | None = None
    history: list[Entry] = field(default_factory=list)

    @property
    def is_cancelling(self) -> bool:
        return self.status in (Status.CANCELING, Status.CANCELED)

    @property
    def is_waiting(self) -> bool:
        return self.status is Status.WAIT_FOR_CONFIRMATION

    def note(self, status: Status, code: int | None = None, *messages: str) -> None:
        self.history.append(Entry(status, code, list(messages)))

    def statuses(self) -> list[Status]:
        return [entry.status for entry in self.history]

    def deployment(self) -> dict[str, object]:
        """Return it as DDI shows it."""
        download = "attempt" if self.handling is Handling.SOFT else "forced"
        update = download
        if self.handling is Handling.DOWNLOAD_ONLY or self.window == "unavailable":
            update = "skip"
        shown: dict[str, object] = {"download": download, "update": update, "chunks": self._chunks()}
        if self.window is not None:
            shown["maintenanceWindow"] = self.window
        return shown

    def _chunks(self) -> list[dict[str, object]]:
        parts = {"application": "bApp", "runtime": "jvm"}
        return [
            {
                "part": parts.get(module.type, module.type),
                "version": module.version,
                "name": module.name,
                "artifacts": [_artifact(name) for name in module.artifacts],
                "metadata": [{"key": key, "value": value} for key, value in module.metadata.items()] or None,
            }
            for module in self.distribution.modules
        ]

    def updated(self, execution: str, finished: str, code: int | None, messages: list[str]) -> bool:
        """Take feedback to the deployment; return False if the action is closed (410)."""
        if not self.active:
            return False
        status = {
            "canceled": Status.CANCELED,
            "rejected": Status.WARNING,
            "download": Status.DOWNLOAD,
            "downloaded": Status.DOWNLOADED,
        }.get(execution, Status.RUNNING)
        if execution == "closed":
            # hawkBit takes "none" for a success, too
            status = Status.ERROR if finished == "failure" else Status.FINISHED
        assert len(self.history) < MOST_MESSAGES or status in (Status.ERROR, Status.FINISHED), (
            "over the quota"
        )
        self.note(status, code, *messages)
        if status in (Status.ERROR, Status.FINISHED) or (
            status is Status.DOWNLOADED and self.handling is Handling.DOWNLOAD_ONLY
        ):
            self.active, self.status = False, status
        return True

    def cancel_answered(self, execution: str, finished: str, code: int | None, messages: list[str]) -> bool:
        """Take feedback to a cancellation; return False if it is not being cancelled (405)."""
        if not self.is_cancelling:
            return False
        if execution == "closed" and finished != "failure":
            self.active, self.status = False, Status.CANCELED
            self.note(Status.CANCELED, code, *messages)
        elif execution in ("rejected", "closed"):
            self.status = Status.RUNNING
            self.note(Status.CANCEL_REJECTED, code, *messages)
        else:
            self.note(Status.RUNNING, code, *messages)
        return True

    def confirmed(self, answer: str, code: int | None, messages: list[str]) -> int:
        """Take an answer to a request for confirmation; return the HTTP status."""
        if not self.active:
            return 410
        if not self.is_waiting:
            return 404
        if answer == "confirmed":
            self.status = Status.RUNNING
        self.note(self.status, code, *messages)
        return 200


def _artifact(name: str) -> dict[str, object]:
    href = f"https://elsewhere.example/download/{name}"
    return {
        "filename": name,
        "hashes": {"sha1": "0" * 40, "md5": "0" * 32, "sha256": "0" * 64},
        "size": 7,
        "_links": {"download": {"href": href}, "download-http": {"href": href}},
    }
