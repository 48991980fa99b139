"""What the link needs of the rest of the gateway."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.domain.commands import Command
from gateway.domain.model import Json
from gateway.domain.ports import Emit, Outbox
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
    """

    origin: Origin
    outbox: Outbox
    snapshot: Callable[[], Mapping[str, Json]]
    emit: Emit
    execute: Callable[[Command], None]
    now: Callable[[], Stamp]
