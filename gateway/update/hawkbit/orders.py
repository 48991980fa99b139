"""A deployment of hawkBit becomes an order, pure.

The software module names a target of the signed metadata: its key `reed.target` (visible to targets), or
its only file, for modules of a type called like a kind. What is in that file at hawkBit does not matter.
"""

import hashlib
import re
from typing import Final

from gateway.domain.update.model import Code, Kind, Order
from gateway.errors import UpdateError
from gateway.update.hawkbit.wire import Action, Chunk, Deployment

SOURCE: Final = "hawkbit"
TARGET_KEY: Final = "reed.target"
DOWNGRADE_KEY: Final = "reed.downgrade"

_KINDS: Final = {
    "os": Kind.OS,
    "app": Kind.APP,
    "application": Kind.APP,
    "bApp": Kind.APP,  # how hawkBit spells "application" to devices
    "config": Kind.CONFIG,
}
_TARGET = re.compile(r"(os|app|config)(/[A-Za-z0-9_+~][A-Za-z0-9._+~-]{0,127}){1,4}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:_-]{0,63}")
_ORDER_ID = re.compile(rf"{SOURCE}-([0-9]{{1,19}})-[0-9a-f]{{8}}")


def order(action: Action, deployment: Deployment, *, deadline_s: float) -> Order:
    """Return what a deployment wants.

    Args:
        action: Of the server.
        deployment: Its content.
        deadline_s: The update may take this long.

    Raises:
        UpdateError: It is none that this gateway can carry out, and never will be.
    """
    chunk = _only(deployment)
    target = _target(chunk)
    found = _TARGET.fullmatch(target)
    if found is None:
        raise UpdateError(Code.INVALID, f"{target[:80]!a} is no target; {TARGET_KEY} must be like os/NAME")
    if not _VERSION.fullmatch(chunk.version):
        raise UpdateError(Code.INVALID, f"{chunk.version[:80]!a} is no version")
    return Order(
        id=_id(action, target, chunk.version),
        kind=Kind(found[1]),
        target=target,
        version=chunk.version,
        source=SOURCE,
        actor=f"hawkBit action {action.id}",
        deadline_s=deadline_s,
        downgrade=_value(chunk, DOWNGRADE_KEY) == "true",
    )


def action_of(order_id: str) -> str:
    """Return the server's number of an order's action; "" if the order is not from there."""
    found = _ORDER_ID.fullmatch(order_id)
    return found[1] if found else ""


def _only(deployment: Deployment) -> Chunk:
    if len(deployment.chunks) != 1:
        raise UpdateError(
            Code.UNSUPPORTED,
            f"{len(deployment.chunks)} software modules in one distribution set; give each its own, "
            "so that each is judged and undone by itself",
        )
    return deployment.chunks[0]


def _target(chunk: Chunk) -> str:
    named = _value(chunk, TARGET_KEY)
    if named:
        return named
    kind, files = _KINDS.get(chunk.part), chunk.artifacts or []
    if kind is None or len(files) != 1:
        raise UpdateError(
            Code.UNSUPPORTED,
            f"software module {chunk.name[:60]!a} names no target: give it the metadata {TARGET_KEY}, "
            f"or one file and a type out of {', '.join(Kind)}",
        )
    return f"{kind}/{files[0].filename}"


def _value(chunk: Chunk, key: str) -> str:
    return next((pair.value for pair in chunk.metadata or [] if pair.key == key), "")


def _id(action: Action, target: str, version: str) -> str:
    """Return an id that another server, which counts from one again, does not give to something else."""
    digest = hashlib.sha256(f"{target}\0{version}".encode()).hexdigest()[:8]
    return f"{SOURCE}-{action.id}-{digest}"
