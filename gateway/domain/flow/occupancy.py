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
    """Return whether this mode is off normal; an alarm from before the restart may say otherwise."""
    if mode is Occupancy.MAINTENANCE:
        return [_MAINTENANCE]
    return [Clear(_MAINTENANCE.kind, _MAINTENANCE.subject)]


def refusal(event: OccupancyRequested) -> AnswerRequest | None:
    """Return the answer if this person may not set this mode."""
    if event.mode is not Occupancy.MAINTENANCE or event.request.may_open:
        return None
    detail = "it keeps flow rules from closing valves: that takes who may open them"
    return AnswerRequest(event.request.command_id, "rejected", "not_authorised", detail)


def changed(before: Occupancy, event: OccupancyRequested) -> list[Effect]:
    """Return what a new mode is to be remembered, recorded and told by; one that is not new is remembered."""
    mode, request = event.mode, event.request
    if mode is before:
        return [Remember(KEY, mode.value)]  # newer than what a slow disk may still tell of before the restart
    actor, cause, tie = request.actor, request.cause or f"{mode} requested", request.command_id
    body: dict[str, Json] = {
        "mode": mode.value,
        "actor": str(actor),
        "cause": cause,
        "correlation_id": tie,
    }
    return [
        Record(KEY, "gateway", actor, cause, tie, {"mode": mode.value, "was": before.value}),
        Remember(KEY, mode.value),
        Publish(Channel.EVENT, KEY, body),
        *standing(mode),
    ]
