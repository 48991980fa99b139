"""What one commit does, gathered in the loop, carried out in the thread."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.domain.model import Channel
from gateway.domain.ports import MessageId, OutboxRow
from gateway.store.receipts import Receipts
from gateway.store.report import SeqRange


@dataclass(slots=True)
class Batch:
    """Everything that waits for the disk.

    Args:
        rows: Messages to keep, by priority, then age.
        through: Seqs of this epoch up to here are on disk, gone or explained once this is done.
        deleted: Messages that the broker has.
        receipts: Messages that the cloud has.
        aside: Poison, with the reason.
        lost: Messages evicted from RAM.
        lines: Journal bodies.
        memory: Values to remember, None to forget.
        told: Called once all this is on disk, or the disk does not take it now; no reason for a commit.
    """

    rows: list[OutboxRow] = field(default_factory=list)
    through: int = 0
    deleted: set[tuple[Channel, MessageId]] = field(default_factory=set)
    receipts: Receipts = field(default_factory=Receipts)
    aside: list[tuple[OutboxRow, str]] = field(default_factory=list)
    lost: list[SeqRange] = field(default_factory=list)
    settled_notices: list[int] = field(default_factory=list)
    settled_epochs: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    memory: dict[str, str | None] = field(default_factory=dict)
    told: list[Callable[[], None]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(
            self.rows
            or self.deleted
            or self.receipts
            or self.aside
            or self.lost
            or self.settled_notices
            or self.settled_epochs
            or self.lines
            or self.memory
        )

    def drops(self, channel: Channel, message: MessageId) -> bool:
        """Tell whether this commit removes the message."""
        return (channel, message) in self.deleted or self.receipts.covers(*message)

    def absorb(self, later: "Batch") -> None:
        """Add what came after this batch, which failed; `rows` are not touched."""
        self.deleted |= later.deleted
        self.receipts.update(later.receipts)
        self.aside += later.aside
        self.lost += later.lost
        self.settled_notices += later.settled_notices
        self.settled_epochs += later.settled_epochs
        self.lines += later.lines
        self.memory |= later.memory
        self.told += later.told
