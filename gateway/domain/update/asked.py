"""What the cloud asks of updates, and the order as JSON: for memory, control socket and messages."""

from dataclasses import dataclass
from typing import TypeAlias

from gateway.domain.model import Json, Request
from gateway.domain.update.order import Order


@dataclass(frozen=True, slots=True)
class UpdateOrdered:
    """Somebody at the cloud wants an update; a `deadline_s` of 0 leaves that to the configuration."""

    order: Order
    request: Request


@dataclass(frozen=True, slots=True)
class UpdateWithdrawn:
    """Somebody at the cloud no longer wants it."""

    update_id: str
    request: Request


UpdateAsked: TypeAlias = UpdateOrdered | UpdateWithdrawn


def as_json(order: Order) -> dict[str, Json]:
    """Return an order as the control interface tells it (docs/protocol.md, Updates)."""
    window: Json = None
    if order.window is not None:
        window = {"from_min": order.window.from_min, "until_min": order.window.until_min}
    return {
        "update_id": order.id,
        "kind": order.kind.value,
        "target": order.target,
        "version": order.version,
        "window": window,
        "deadline_s": order.deadline_s or None,
        "downgrade": order.downgrade,
        "source": order.source,
        "actor": order.actor,
    }
