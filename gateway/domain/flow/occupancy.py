"""How the building is used: a person says so, restarts keep it, and maintenance is shown as off normal."""

from collections.abc import Mapping

from gateway.domain.commands import AnswerRequest, Publish, Record, Remember
from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.events import OccupancyRequested
from gateway.domain.model import Channel, Json, Occupancy, SignalClass

KEY = "occupancy"
_MAINTENANCE = Raise(
    "maintenance", "gateway", SignalClass.SUPERVISORY, "maintenance: flow rules notify and close nothing"
)


def remembered(memory: Mapping[str, Json]) -> Occupancy:
    """Return the mode before the restart; OCCUPIED if nobody knows, since other rules would bite people."""
    return next((mode for mode in Occupancy if mode.value == memory.get(KEY)), Occupancy.OCCUPIED)


def standing(mode: Occupancy) -> list[Effect]:
    """Return what is off normal in this mode."""
    return [_MAINTENANCE] if mode is Occupancy.MAINTENANCE else []


def refusal(event: OccupancyRequested) -> AnswerRequest | None:
    """Return the answer if this person may not set this mode."""
    if event.mode is not Occupancy.MAINTENANCE or event.request.may_open:
        return None
    detail = "it keeps flow rules from closing valves: that takes who may open them"
    return AnswerRequest(event.request.command_id, "rejected", "not_authorised", detail)


def changed(before: Occupancy, event: OccupancyRequested) -> list[Effect]:
    """Return what a new mode is to be remembered, recorded and told by; nothing if it is not new."""
    mode, request = event.mode, event.request
    if mode is before:
        return []
    actor, cause, tie = request.actor, request.cause or f"{mode} requested", request.command_id
    body: dict[str, Json] = {
        "mode": mode.value,
        "actor": str(actor),
        "cause": cause,
        "correlation_id": tie,
    }
    effects: list[Effect] = [
        Record(KEY, "gateway", actor, cause, tie, {"mode": mode.value, "was": before.value}),
        Remember(KEY, mode.value),
        Publish(Channel.EVENT, KEY, body),
        *standing(mode),
    ]
    if before is Occupancy.MAINTENANCE:
        effects.append(Clear(_MAINTENANCE.kind, _MAINTENANCE.subject))
    return effects
