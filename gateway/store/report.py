"""What the store tells the gateway of its own accord, and what it must know to start."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from gateway.domain.model import Channel


@dataclass(frozen=True, slots=True)
class BootInfo:
    """Which run of the machine this is: the kernel's boot id; goes into every journal entry."""

    boot_id: str


class ReportKind(StrEnum):
    """What happened to the store."""

    RESTARTED = "restarted"
    """A former epoch ended. `ranges` is empty; `epoch`/`through` say what of it is accounted for."""
    EVICTED = "evicted"
    """Messages were given up for the byte cap; `ranges` names them."""
    POISONED = "poisoned"
    """Messages were set aside: damaged on disk, or the broker refuses them; `ranges` names them."""
    QUARANTINED = "quarantined"
    """The file was unreadable; it was set aside and a new one started; `detail` says what was saved."""
    FAILING = "failing"
    """The disk refuses; the store goes on in RAM, within its cap, and tries again. Trouble "disk"."""
    STALLED = "stalled"
    """The disk does not answer in time. Trouble "disk"."""
    RECOVERED = "recovered"
    """The disk works again; ends FAILING and STALLED."""


class SeqRange(NamedTuple):
    """Messages `first` to `last` (both included) of one channel and epoch.

    Seqs between them that belong to other channels are not meant: a range has no such holes.
    """

    channel: Channel
    epoch: int
    first: int
    last: int


def count_of(ranges: Iterable[SeqRange]) -> int:
    """Return how many messages the ranges name."""
    return sum(last - first + 1 for _, _, first, last in ranges)


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class StoreReport:
    """One thing that happened to the store; delivered in the loop's thread.

    RESTARTED, EVICTED and POISONED explain holes in the sequence to the cloud. They are themselves on disk
    and come again at every start until `settle` was called: publish them with
    `put(..., on_durable=report.settle)`.

    Args:
        detail: One line for a person.
        ranges: What is missing.
        count: How many messages that are.
        epoch: RESTARTED: the former epoch; else 0.
        through: RESTARTED: up to this seq each message was received, is still queued here, or is named in
            another report; a later one that the cloud does not hold and that does not come is lost.
    """

    kind: ReportKind
    detail: str
    ranges: tuple[SeqRange, ...] = ()
    count: int = 0
    epoch: int = 0
    through: int = 0
    settle: Callable[[], None] = _nothing
