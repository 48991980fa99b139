"""One alarm: its state as in ISA-18.2, as a message, as a row for persons, and as memory across restarts."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.domain.effects import Raise
from gateway.domain.model import Actor, Json, SignalClass

DOUBTFUL_S = 600.0
"""An alarm from before a restart whose source has been silent this long since is taken as over."""


class AlarmState(StrEnum):
    """Where an alarm stands (ISA-18.2)."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED_UNACKNOWLEDGED = "returned_unacknowledged"


@dataclass(frozen=True)
class Alarm:
    """One alarm.

    Args:
        condition: As it was raised last.
        latched: Stays in alarm until it is reset.
        occurrence: Counts from 1 since the alarm was last normal.
        doubtful_until_s: Taken over from before a restart as active, and its source has not spoken since;
            None if it has.
    """

    condition: Raise
    active: bool
    latched: bool
    acknowledged: bool
    raised_s: float
    occurrence: int = 1
    shelved_until_s: float | None = None
    doubtful_until_s: float | None = None

    @property
    def in_alarm(self) -> bool:
        """The condition is present or latched."""
        return self.active or self.latched

    @property
    def state(self) -> AlarmState:
        """The state of ISA-18.2."""
        if self.in_alarm:
            return AlarmState.ACKNOWLEDGED if self.acknowledged else AlarmState.UNACKNOWLEDGED
        return AlarmState.NORMAL if self.acknowledged else AlarmState.RETURNED_UNACKNOWLEDGED


def view(alarm: Alarm, now_s: float) -> dict[str, Json]:
    """Return the alarm as persons and programs see it (docs/protocol.md, snapshot)."""
    end_s = alarm.shelved_until_s
    return {
        "id": alarm.condition.alarm_id,
        "class": alarm.condition.cls.value,
        "kind": alarm.condition.kind,
        "subject": alarm.condition.subject,
        "state": alarm.state.value,
        "latched": alarm.latched,
        "active": alarm.active,
        "shelved_for_s": None if end_s is None else max(0.0, end_s - now_s),
        "raised_s_ago": now_s - alarm.raised_s,
        "detail": alarm.condition.detail,
    }


def body(alarm: Alarm, actor: Actor) -> dict[str, Json]:
    """Return what the cloud is told when `actor` changed the alarm (docs/protocol.md, alarm)."""
    told: dict[str, Json] = {
        "alarm_id": alarm.condition.alarm_id,
        "class": alarm.condition.cls.value,
        "kind": alarm.condition.kind,
        "subject": alarm.condition.subject,
        "state": alarm.state.value,
        "active": alarm.active,
        "latched": alarm.latched,
        "shelved": alarm.shelved_until_s is not None,
        "detail": alarm.condition.detail,
        "occurrence": alarm.occurrence,
        "correlation_id": alarm.condition.correlation_id,
        "actor": str(actor),
    }
    if alarm.condition.places:
        told["places"] = [{"sensor_id": name, "distance_m": at_m} for name, at_m in alarm.condition.places]
    return told


def memory(alarm: Alarm) -> dict[str, Json]:
    """Return what survives a restart. Shelving does not: its end is told in a clock that starts anew."""
    return {
        "class": alarm.condition.cls.value,
        "kind": alarm.condition.kind,
        "detail": alarm.condition.detail,
        "correlation_id": alarm.condition.correlation_id,
        "active": alarm.active,
        "latched": alarm.latched,
        "acknowledged": alarm.acknowledged,
        "occurrence": alarm.occurrence,
    }


def restored(alarm_id: str, value: Json, now_s: float) -> Alarm:
    """Return the alarm that `memory` described; one that cannot be understood counts as latched."""
    match value:
        case {
            "class": str(cls),
            "kind": str(kind),
            "detail": str(detail),
            "correlation_id": str(correlation_id),
            "active": bool(active),
            "latched": bool(latched),
            "acknowledged": bool(acknowledged),
            "occurrence": int(occurrence),
        } if cls in set(SignalClass) and alarm_id.startswith(f"{kind}/"):
            subject = alarm_id.removeprefix(f"{kind}/")
            condition = Raise(kind, subject, SignalClass(cls), detail, latched, correlation_id)
            until_s = now_s + DOUBTFUL_S if active else None
            return Alarm(condition, active, latched, acknowledged, now_s, occurrence, None, until_s)
        case _:
            kind, _, subject = alarm_id.partition("/")
            detail = "what was remembered of it is damaged; it counts as latched"
            condition = Raise(kind, subject, SignalClass.ALARM, detail, latched=True)
            return Alarm(condition, active=False, latched=True, acknowledged=False, raised_s=now_s)
