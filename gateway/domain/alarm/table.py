"""The alarm table, with the states of ISA-18.2.

    normal --raised--> unacknowledged --acknowledged--> acknowledged
                        |         ^                      |        |
                    condition   raised                   |    condition gone,
                      gone       again                   |    nothing latched
                        v         |                      |        v
                  returned_unacknowledged --acknowledged-+----> normal

A latched alarm stays unacknowledged or acknowledged after its condition is gone, until a person resets it.
Acknowledging and shelving silence notification only; neither moves a valve nor ends a latch. Shelving ends
by itself, with a restart at the latest, and for class alarm with the next occurrence.
"""

from collections.abc import Mapping

from gateway.domain.alarm import state as alarm_state
from gateway.domain.alarm.state import Alarm, AlarmState
from gateway.domain.commands import AnswerRequest, Command, Publish, Record, Remember
from gateway.domain.effects import Clear, Raise
from gateway.domain.evolve import replace
from gateway.domain.model import SYSTEM, Actor, Channel, Json, Request, SignalClass

MAX_SHELVED_S = 8 * 3600.0
"""One shift: whoever comes next decides again."""

_MEMORY_PREFIX = "alarm/"

_WORST_FIRST = (SignalClass.ALARM, SignalClass.SUPERVISORY, SignalClass.TROUBLE)
_HIGHEST_KIND = "still-flowing"
"""A valve is closed and water runs all the same: somebody must go and shut it off."""


class AlarmTable:
    """All alarms that are not normal. Each method that changes something returns what to tell whom."""

    def __init__(self) -> None:
        self._alarms: dict[str, Alarm] = {}

    # --- questions ----------------------------------------------------------------------------------

    def is_latched(self, alarm_id: str) -> bool:
        """Tell whether only a reset can end this alarm."""
        return alarm_id in self._alarms and self._alarms[alarm_id].latched

    def active(self, alarm_id: str) -> bool:
        """Tell whether the condition is present now."""
        return alarm_id in self._alarms and self._alarms[alarm_id].active

    def any_of(self, cls: SignalClass) -> bool:
        """Tell whether any alarm of this class is present or latched; shelving does not hide it."""
        return any(alarm.in_alarm and alarm.condition.cls is cls for alarm in self._alarms.values())

    @property
    def sounding(self) -> bool:
        """Something of class alarm waits to be acknowledged or shelved."""
        return any(
            alarm.state is AlarmState.UNACKNOWLEDGED
            and alarm.condition.cls is SignalClass.ALARM
            and alarm.shelved_until_s is None
            for alarm in self._alarms.values()
        )

    def deadline_s(self) -> float | None:
        """Return when `tick` has something to do next."""
        return min((end_s for alarm in self._alarms.values() for end_s in _ends_s(alarm)), default=None)

    def view(self, now_s: float) -> list[dict[str, Json]]:
        """Return all alarms, worst class and newest first, before all what only hands can end."""
        return [alarm_state.view(alarm, now_s) for alarm in sorted(self._alarms.values(), key=_urgency)]

    # --- conditions ---------------------------------------------------------------------------------

    def restore(self, memory: Mapping[str, Json], now_s: float) -> list[Command]:
        """Take over what was not normal before a restart, with its acknowledgement.

        What was active stays so until its source speaks, but no longer than `DOUBTFUL_S`.
        """
        for key, value in memory.items():
            alarm_id = key.removeprefix(_MEMORY_PREFIX)
            if key.startswith(_MEMORY_PREFIX) and "/" in alarm_id and value is not None:
                self._alarms[alarm_id] = alarm_state.restored(alarm_id, value, now_s)
        settled = [key for key, alarm in self._alarms.items() if alarm.state is AlarmState.NORMAL]
        return [command for alarm_id in settled for command in self._forget(alarm_id)]

    def recall(self, memory: Mapping[str, Json], lost: str, now_s: float) -> list[Command]:
        """Take over, late, what was not normal before a restart; the alarm `lost`, that nobody knew, ends."""
        known = {
            key: value
            for key, value in memory.items()
            if key.removeprefix(_MEMORY_PREFIX) not in self._alarms
        }
        commands = self.restore(known, now_s)
        alarm = self._alarms.get(lost)
        if alarm is None or not alarm.latched:
            return commands
        return [*commands, *self._change(lost, replace(alarm, latched=False, active=False), SYSTEM)]

    def apply(self, effect: Raise | Clear, now_s: float) -> list[Command]:
        """Take a condition that is present or gone. Saying again what is known does nothing."""
        known = self._alarms.get(effect.alarm_id)
        if isinstance(effect, Raise):
            return self._raise(effect, known, now_s)
        if known is None or not known.active:
            return []
        return self._change(effect.alarm_id, replace(known, active=False, doubtful_until_s=None), SYSTEM)

    def _raise(self, effect: Raise, known: Alarm | None, now_s: float) -> list[Command]:
        if known is None:
            alarm = Alarm(effect, active=True, latched=effect.latched, acknowledged=False, raised_s=now_s)
            return self._change(effect.alarm_id, alarm, SYSTEM)
        latched = known.latched or effect.latched
        alarm = replace(known, condition=effect, active=True, latched=latched, doubtful_until_s=None)
        if known.active:
            self._alarms[effect.alarm_id] = alarm
            is_news = (latched, effect.detail) != (known.latched, known.condition.detail)
            return self._change(effect.alarm_id, alarm, SYSTEM) if is_news else []
        shelved_until_s = None if effect.cls is SignalClass.ALARM else known.shelved_until_s
        alarm = replace(
            alarm,
            acknowledged=False,
            raised_s=now_s,
            occurrence=known.occurrence + 1,
            shelved_until_s=shelved_until_s,
        )
        return self._change(effect.alarm_id, alarm, SYSTEM)

    def tick(self, now_s: float) -> list[Command]:
        """End what was shelved long enough, and what nobody has confirmed since a restart."""
        commands: list[Command] = []
        for alarm_id, alarm in list(self._alarms.items()):
            if alarm.doubtful_until_s is not None and now_s >= alarm.doubtful_until_s:
                commands += self.apply(Clear(alarm.condition.kind, alarm.condition.subject), now_s)
            elif alarm.shelved_until_s is not None and now_s >= alarm.shelved_until_s:
                unshelved = replace(alarm, shelved_until_s=None)
                commands += self._change(alarm_id, unshelved, SYSTEM)
                commands.append(_record("unshelved", unshelved, SYSTEM, "time is up", {}))
        return commands

    # --- persons ------------------------------------------------------------------------------------

    def acknowledge(self, alarm_id: str, request: Request, now_s: float) -> list[Command]:
        """Take note that a person has seen it. Doing it twice succeeds twice and tells once."""
        known = self._alarms.get(alarm_id)
        if known is None:
            return [_unknown(request, alarm_id)]
        if known.acknowledged:
            return [_succeeded(request, "it was acknowledged before")]
        alarm = replace(known, acknowledged=True)
        detail: dict[str, Json] = {"after_s": round(now_s - known.raised_s, 3)}
        return [
            *self._change(alarm_id, alarm, request.actor),
            _record("acknowledged", alarm, request.actor, request.cause, detail),
            _succeeded(request),
        ]

    def reset(self, alarm_id: str, request: Request, now_s: float, refusal: str | None) -> list[Command]:
        """End a latched alarm whose condition is gone; that counts as acknowledged, too.

        `refusal` is why the source of the alarm does not allow it (sensors wet, not dry for long enough),
        None if it does. The caller has made sure that the actor may reset.
        """
        known = self._alarms.get(alarm_id)
        if known is None:
            return [_unknown(request, alarm_id)]
        if not request.cause.strip():
            return [_rejected(request, "cause_required", "say why the alarm may be reset")]
        if not known.latched:
            return [_rejected(request, "not_latched", "it ends by itself when its condition is gone")]
        if refusal is not None:
            return [_rejected(request, "reset_refused", refusal)]
        if known.active and known.doubtful_until_s is None:
            return [_rejected(request, "reset_refused", "its condition is still present")]
        alarm = replace(known, latched=False, acknowledged=True, active=False, shelved_until_s=None)
        detail: dict[str, Json] = {"after_s": round(now_s - known.raised_s, 3)}
        return [
            *self._change(alarm_id, alarm, request.actor),
            _record("reset", alarm, request.actor, request.cause, detail),
            _succeeded(request),
        ]

    def shelve(self, alarm_id: str, duration_s: float, request: Request, now_s: float) -> list[Command]:
        """Silence an alarm for `duration_s` (at most `MAX_SHELVED_S`); 0 ends that."""
        known = self._alarms.get(alarm_id)
        if known is None:
            return [_unknown(request, alarm_id)]
        if not 0 <= duration_s <= MAX_SHELVED_S:
            allowed = f"0 to {MAX_SHELVED_S:g} s are allowed"
            return [_rejected(request, "duration_out_of_range", allowed)]
        if duration_s > 0 and not request.cause.strip():
            return [_rejected(request, "cause_required", "say why the alarm is to be silent")]
        alarm = replace(known, shelved_until_s=now_s + duration_s if duration_s > 0 else None)
        done = "shelved" if duration_s > 0 else "unshelved"
        return [
            *self._change(alarm_id, alarm, request.actor),
            _record(done, alarm, request.actor, request.cause, {"duration_s": duration_s}),
            _succeeded(request),
        ]

    # --- every change goes through here -------------------------------------------------------------

    def _change(self, alarm_id: str, alarm: Alarm, actor: Actor) -> list[Command]:
        is_alarm = alarm.condition.cls is SignalClass.ALARM
        told = Publish(Channel.ALARM if is_alarm else Channel.EVENT, "alarm", alarm_state.body(alarm, actor))
        if alarm.state is AlarmState.NORMAL and alarm.shelved_until_s is None:
            return [told, *self._forget(alarm_id)]
        self._alarms[alarm_id] = alarm
        by_person = actor is not SYSTEM
        urgent = is_alarm or alarm.latched or by_person
        return [told, Remember(f"{_MEMORY_PREFIX}{alarm_id}", alarm_state.memory(alarm), urgent)]

    def _forget(self, alarm_id: str) -> list[Command]:
        del self._alarms[alarm_id]
        return [Remember(f"{_MEMORY_PREFIX}{alarm_id}", None)]


def _urgency(alarm: Alarm) -> tuple[int, bool, float]:
    condition = alarm.condition
    return _WORST_FIRST.index(condition.cls), condition.kind != _HIGHEST_KIND, -alarm.raised_s


def _ends_s(alarm: Alarm) -> list[float]:
    return [end_s for end_s in (alarm.shelved_until_s, alarm.doubtful_until_s) if end_s is not None]


def _record(done: str, alarm: Alarm, actor: Actor, cause: str, detail: dict[str, Json]) -> Record:
    condition = alarm.condition
    subject = f"alarm/{condition.alarm_id}"
    return Record(f"alarm.{done}", subject, actor, cause, condition.correlation_id, detail)


def _unknown(request: Request, alarm_id: str) -> AnswerRequest:
    return _rejected(request, "unknown_subject", f"{alarm_id} is not in alarm")


def _rejected(request: Request, reason: str, detail: str) -> AnswerRequest:
    return AnswerRequest(request.command_id, "rejected", reason, detail)


def _succeeded(request: Request, detail: str = "") -> AnswerRequest:
    return AnswerRequest(request.command_id, "succeeded", "", detail)
