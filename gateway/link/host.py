"""What the link needs of the rest of the gateway."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.domain.commands import Command
from gateway.domain.model import Json
from gateway.domain.ports import Emit, Outbox
from gateway.domain.update.asked import UpdateAsked
from gateway.link.blocking import Lane
from gateway.link.credentials import Credentials
from gateway.link.wire import Origin, Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """All of it is for the loop's thread and does not block.

    Args:
        origin: Who we are; `gateway` must be the common name of our certificate.
        outbox: The queue to drain.
        snapshot: Return the present state of the site (body of a "snapshot" message).
        emit: Hand an event to the core.
        execute: Carry out `AnswerRequest` and `Publish`: encode and queue them.
        now: Both clocks.
        credentials: Provides what a session is let in with.
        order: Take an order for an update, or its withdrawal, and answer it; None: updates are not taken.
        lane: What may hang runs in it; one for all links of this process.
    """

    origin: Origin
    outbox: Outbox
    snapshot: Callable[[], Mapping[str, Json]]
    emit: Emit
    execute: Callable[[Command], None]
    now: Callable[[], Stamp]
    credentials: Credentials
    order: Callable[[UpdateAsked], None] | None = None
    lane: Lane = field(default_factory=Lane)
