"""What persons ask at the socket or from the cloud, and the answer that each of them gets.

Whoever made the request object has authenticated the actor; here it is decided whether the state of the
building allows it.
"""

from typing import TypeAlias

from gateway.domain.alarm.table import AlarmTable
from gateway.domain.authority.arbiter import Arbiter
from gateway.domain.authority.protection import Protection
from gateway.domain.commands import AnswerRequest, Record, SetCoil
from gateway.domain.disruption import Lease
from gateway.domain.effects import Effect, Raise, Why
from gateway.domain.events import (
    AcknowledgeRequested,
    ExerciseRequested,
    OccupancyRequested,
    ResetRequested,
    ShelveRequested,
    ValveRequested,
    WalkTestRequested,
)
from gateway.domain.flow.watch import FlowWatch
from gateway.domain.leak.watch import Watch
from gateway.domain.model import Request, SignalClass, Wish
from gateway.domain.update import trouble

Asked: TypeAlias = (
    ValveRequested
    | ExerciseRequested
    | WalkTestRequested
    | AcknowledgeRequested
    | ResetRequested
    | ShelveRequested
    | OccupancyRequested
)

MEMORY_LOST = Raise(
    "memory-lost",
    "gateway",
    SignalClass.TROUBLE,
    "what was latched before the restart is unknown; reset this before opening a valve remotely",
    latched=True,
)


class Requests:
    """Answers persons.

    Args:
        alarms: Of the site.
        watch: Sensors and zones.
        flow: Meters and flow rules.
        protection: Passes on to the valves what zones and rules want.
        lease: While it runs nothing begins that can wait.
    """

    def __init__(
        self,
        alarms: AlarmTable,
        watch: Watch,
        flow: FlowWatch,
        protection: Protection,
        lease: Lease,
    ) -> None:
        self._alarms = alarms
        self._watch = watch
        self._flow = flow
        self._arbiters = protection.arbiters
        self._protection = protection
        self._lease = lease

    @property
    def is_quiet(self) -> bool:
        """There is no alarm and no water: a valve may be exercised."""
        return not self._alarms.any_of(SignalClass.ALARM) and not self._watch.is_wet

    def handle(self, event: Asked, now_s: float) -> list[Effect]:
        """Do what is asked, or refuse it; the answer is among the effects."""
        match event:
            case ValveRequested(valve_id, wish, request) if valve_id in self._arbiters:
                return self._valve(self._arbiters[valve_id], wish, request, now_s)
            case ExerciseRequested(valve_id, request) if valve_id in self._arbiters:
                return self._exercise(self._arbiters[valve_id], request, now_s)
            case WalkTestRequested(zone_id, on, request) if self._watch.has_zone(zone_id):
                demands, effects = self._watch.walk_test(zone_id, on, request, now_s)
                return self._protection.meet(demands, now_s) + effects
            case AcknowledgeRequested(alarm_id, request):
                seen = self._alarms.acknowledge(alarm_id, request, now_s)
                return [*seen, *trouble.acknowledged(alarm_id)]
            case ResetRequested(alarm_id, request):
                return self._reset(alarm_id, request, now_s)
            case OccupancyRequested():
                return self._flow.occupy(event, now_s)
            case ShelveRequested(alarm_id, duration_s, request):
                return [*self._alarms.shelve(alarm_id, duration_s, request, now_s)]
        return [_rejected(event.request, "unknown_subject", "the site has none of this name")]

    def _valve(self, arbiter: Arbiter, wish: Wish, request: Request, now_s: float) -> list[Effect]:
        if wish is Wish.OPEN and self._alarms.is_latched(MEMORY_LOST.alarm_id):
            return [_rejected(request, "alarm_latched", f"reset {MEMORY_LOST.alarm_id} first")]
        return arbiter.request(wish, request, now_s)

    def _exercise(self, arbiter: Arbiter, request: Request, now_s: float) -> list[Effect]:
        if not self.is_quiet or not arbiter.is_free:
            return [_rejected(request, "not_quiet", "an alarm, override, lockout or wish is in force")]
        if self._lease.holds(now_s):
            return [_rejected(request, "not_quiet", "an update is being installed")]
        why = Why(request.actor, request.cause or "exercise requested", request.command_id)
        effects = arbiter.exercise(why, now_s)
        if not any(isinstance(effect, SetCoil) for effect in effects):
            return [*effects, _rejected(request, "not_quiet", "the valve is not open")]
        return [*effects, AnswerRequest(request.command_id, "succeeded", "", "the exercise has begun")]

    def _reset(self, alarm_id: str, request: Request, now_s: float) -> list[Effect]:
        kind, _, name = alarm_id.partition("/")
        _, _, name = name.partition("/")
        if kind == "replay" and self._watch.has_sensor(name):
            return self._accept_counter(name, request)
        is_leak = kind == "leak" and self._watch.has_zone(name)
        is_flow = kind == "flow" and self._flow.has_rule(name)
        refusal = self._watch.may_reset(name, now_s) if is_leak else None
        refusal = self._flow.may_reset(name, now_s) if is_flow else refusal
        was_latched = self._alarms.is_latched(alarm_id)
        commands = self._alarms.reset(alarm_id, request, now_s, refusal)
        if not was_latched or self._alarms.is_latched(alarm_id):
            return [*commands]
        if is_leak:
            return [*self._protection.meet(self._watch.reset(name, now_s), now_s), *commands]
        if is_flow:
            demands, effects = self._flow.reset(name)
            return [*self._protection.restrain(demands, now_s), *commands, *effects]
        return [*commands]

    def _accept_counter(self, sensor_id: str, request: Request) -> list[Effect]:
        """A person vouches for a sensor that counts from the beginning: a new battery or a new key."""
        if not request.cause.strip():
            return [_rejected(request, "cause_required", "say why the sensor counts anew")]
        effects = self._watch.accept_counter_reset(sensor_id)
        subject = f"sensor/{sensor_id}"
        record = Record("sensor.counter_reset", subject, request.actor, request.cause, request.command_id, {})
        return [*effects, record, AnswerRequest(request.command_id, "succeeded")]


def _rejected(request: Request, reason: str, detail: str) -> AnswerRequest:
    return AnswerRequest(request.command_id, "rejected", reason, detail)
