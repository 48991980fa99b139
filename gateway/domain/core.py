"""The core: what happened goes in, what to do about it comes out, at once and without I/O.

    sensor, zone; meter, rule      arbiter (authority, override, valve)      alarm, indicator
    -------------------------      ------------------------------------      ----------------
    reading -> wet? too much? ---> who decides? -> which way? -> coil ---->  who is told?

Rules that hold for every call, whatever came before (tests/domain/test_core_invariants.py):

* An event that no authorised person caused never opens a valve; neither do a start, a reconnect or time.
* A confirmed leak commands its valves closed in the same call, unless a person holds them locally.
* The commands that move a valve stand first in the list.
* Everything that moves a valve is recorded with actor and cause.
"""

from collections.abc import Iterator, Mapping, Sequence

from gateway.domain import indicator, view
from gateway.domain.adapters import Adapters, Outside
from gateway.domain.alarm.table import AlarmTable
from gateway.domain.authority.arbiter import Arbiter
from gateway.domain.authority.buttons import Buttons
from gateway.domain.authority.exercise import Exercises
from gateway.domain.authority.override import Mode
from gateway.domain.authority.protection import Protection, standing
from gateway.domain.authority.requests import MEMORY_LOST, Requests
from gateway.domain.authority.restore import restore
from gateway.domain.commands import Command, Indicate, Remember, SetCoil
from gateway.domain.disruption import Lease, reasons
from gateway.domain.effects import Clear, Effect, Raise, Why
from gateway.domain.events import (
    AdapterFailed,
    AdapterRecovered,
    ButtonChanged,
    CoilFailed,
    DeadlinePassed,
    EndSwitchChanged,
    Event,
    FrameRejected,
    LinkChanged,
    MemoryRead,
    MeterPulsed,
    SensorFaulted,
    SensorRead,
    TimeTold,
    UpdateReported,
    ValveFound,
)
from gateway.domain.flow.watch import FlowWatch
from gateway.domain.leak.watch import Watch
from gateway.domain.model import Actor, Json, LedPattern
from gateway.domain.site import Site
from gateway.domain.update import trouble
from gateway.domain.update.words import Step
from gateway.domain.valve.model import ValveState

_MOMENTARY = Clear(MEMORY_LOST.kind, MEMORY_LOST.subject)
"""The condition is over at once; the latch remains."""


class Core:
    """Decides for one site.

    Args:
        site: The validated configuration.
        era: Makes correlation ids unique across restarts (the store's epoch).
    """

    def __init__(self, site: Site, era: str = "0") -> None:
        self._era = era
        self._causes = 0
        self._watch = Watch(site)
        self._flow = FlowWatch(site)
        self._arbiters = {spec.id: Arbiter(spec, site.override) for spec in site.valves.values()}
        self.lease = Lease()
        self._exercises = Exercises(self._arbiters, self.lease)
        self._alarms = AlarmTable()
        self._protection = Protection(self._arbiters, self._why)
        self._buttons = Buttons(site, self._arbiters, self._alarms, self._why)
        self._requests = Requests(self._alarms, self._watch, self._flow, self._protection, self.lease)
        self._adapters = Adapters(site.cloud_loss_s, self._alarms.active)
        metered = {valve_id for meter in site.meters.values() for valve_id in meter.valves}
        self._metered = dict.fromkeys(sorted(metered), ValveState.UNKNOWN)
        self._valves_were: dict[str, Json] = {}
        self._newer: set[str] | None = None
        self._shown = Indicate(LedPattern.AUTO, indicator.SILENT)

    # --- the calls ----------------------------------------------------------------------------------

    def start(
        self, memory: Mapping[str, Json] | None, found: Sequence[ValveFound], now_s: float
    ) -> list[Command]:
        """Take over what was before the restart and the valves as they are.

        Args:
            memory: What was remembered; None if it cannot be read (yet), which counts as "latched".
            found: Present levels of every valve's lines.
            now_s: Monotonic seconds.
        """
        known = memory or {}
        self._newer = None if memory is not None else set()
        effects: list[Effect] = [] if memory is not None else [MEMORY_LOST, _MOMENTARY]
        commands = self._alarms.restore(known, now_s)
        self._watch.start(known, self._alarms.is_latched, now_s)
        effects += self._flow.start(known, self._alarms.is_latched, now_s)
        effects += trouble.standing(known)
        self._valves_were = {key: value for key, value in known.items() if key.startswith("valve/")}
        self._exercises.start(now_s)
        effects += self._restore(known, now_s)
        for event in found:
            effects += self._effects(event, now_s)
        motion: list[Command] = [effect for effect in effects if isinstance(effect, SetCoil)]
        return motion + commands + self._finish(effects, now_s)

    def handle(self, event: Event, now_s: float) -> Iterator[Command]:
        """Decide. Yields commands in the order in which to execute them.

        What moves a valve is yielded before messages and alarms are worked out; all must have been taken
        before the next call.
        """
        effects = self._effects(event, now_s)
        for effect in effects:
            if isinstance(effect, SetCoil):
                yield effect
        yield from self._finish(effects, now_s)

    def stop(self, now_s: float) -> list[Command]:
        """Return what is to be kept at an orderly end; a crash costs no more than a minute of counting."""
        return [*self._flow.save(now_s)]

    def next_deadline_s(self) -> float | None:
        """Return when `DeadlinePassed` is wanted, monotonic seconds; None: only after the next event."""
        return min((at_s for at_s in self._deadlines() if at_s is not None), default=None)

    def view(self, now_s: float) -> dict[str, Json]:
        """Return the whole site as persons and programs see it (docs/protocol.md, snapshot)."""
        zones, sensors = self._watch.view(now_s)
        parts: dict[str, Json] = {
            "zones": {**zones},
            "sensors": {**sensors},
            "valves": {key: arbiter.view(now_s) for key, arbiter in self._arbiters.items()},
            **self._flow.view(now_s),
        }
        return view.site_view(parts, self._alarms.view(now_s), self._shown)

    def disruption(self, now_s: float, step: Step = Step.INSTALL) -> list[str]:
        """Return why now is no time for this step of an update, in words; nothing if it may be taken."""
        found = reasons(self.view(now_s), step)
        return found if step is Step.DOWNLOAD else [*found, *self._exercises.overdue(now_s)]

    # --- dispatch -----------------------------------------------------------------------------------

    def _effects(self, event: Event, now_s: float) -> list[Effect]:
        match event:
            case SensorRead() | SensorFaulted() | FrameRejected():
                demands, effects = self._watch.sense(event, now_s)
                return self._protection.meet(demands, now_s) + effects
            case EndSwitchChanged() | CoilFailed() if event.valve_id in self._arbiters:
                effects = self._arbiters[event.valve_id].step(event, now_s)
                demands, changes = self._watch.valve_reported(event.valve_id, now_s)
                return effects + self._protection.meet(demands, now_s) + changes
            case MeterPulsed() | TimeTold():
                wanted, effects = self._flow.handle(event, now_s)
                return self._protection.restrain(wanted, now_s) + effects
            case ButtonChanged():
                return self._buttons.change(event, now_s)
            case DeadlinePassed():
                return self._tick(now_s)
            case AdapterFailed() | AdapterRecovered() | LinkChanged() | UpdateReported():
                return [*self._deaf(event, now_s), *self._adapters.handle(event, now_s)]
            case ValveFound(valve_id) if valve_id in self._arbiters:
                memory = self._valves_were.get(f"valve/{valve_id}")
                return self._arbiters[valve_id].found(event, memory, now_s)
            case MemoryRead(memory):
                return self._recall(memory, now_s)
            case EndSwitchChanged() | CoilFailed() | ValveFound():
                return []
            case _:
                return self._requests.handle(event, now_s)

    def _deaf(self, event: Outside, now_s: float) -> list[Effect]:
        """What cannot be heard says nothing, above all not "dry" or "no flow", until it speaks again."""
        if isinstance(event, LinkChanged | UpdateReported):
            return []
        kind, _, name = event.adapter.partition("/")
        if kind == "meter" and isinstance(event, AdapterFailed):
            return self._flow.deafened(name)
        if kind == "meter":
            self._flow.heard(name, now_s)
        if kind != "sensor" or isinstance(event, AdapterRecovered):
            return []
        demands, effects = self._watch.sense(SensorFaulted(name, event.problem), now_s)
        return self._protection.meet(demands, now_s) + effects

    # --- memory -------------------------------------------------------------------------------------

    def _restore(self, memory: Mapping[str, Json], now_s: float) -> list[Effect]:
        effects: list[Effect] = []
        for valve_id, arbiter in self._arbiters.items():
            alarms = standing(self._watch.demanding(valve_id), self._flow.demanding(valve_id))
            effects += restore(arbiter, memory, alarms, now_s)
        return effects

    def _recall(self, memory: Mapping[str, Json], now_s: float) -> list[Effect]:
        """Take over what could not be read at the start; what was decided since is newer and stands."""
        newer, self._newer = self._newer, None
        if newer is None:
            return []
        known = {key: value for key, value in memory.items() if key not in newer}
        effects: list[Effect] = [*self._alarms.recall(known, MEMORY_LOST.alarm_id, now_s)]
        # what sensors and meters counted is added up, not chosen between
        self._watch.recall(memory, self._alarms.is_latched, now_s)
        effects += self._flow.recall(memory, newer, self._alarms.is_latched, now_s)
        effects += [*trouble.standing(known), *self._restore(known, now_s)]
        for valve_id, arbiter in self._arbiters.items():
            effects += arbiter.recall(memory.get(f"valve/{valve_id}"), now_s)
        return effects

    # --- time ---------------------------------------------------------------------------------------

    def _tick(self, now_s: float) -> list[Effect]:
        demands, changes = self._watch.tick(now_s)
        effects = self._protection.meet(demands, now_s) + changes
        wanted, changes = self._flow.tick(now_s)
        effects += self._protection.restrain(wanted, now_s) + changes
        quiet = self._requests.is_quiet
        for arbiter in self._arbiters.values():
            effects += arbiter.tick(now_s)
        effects += self._exercises.tick(now_s, quiet=quiet)
        effects += self._buttons.tick(now_s)
        return [*effects, *self._adapters.tick(now_s), *self._alarms.tick(now_s)]

    def _deadlines(self) -> Iterator[float | None]:
        yield self._watch.deadline_s()
        yield self._flow.deadline_s()
        for arbiter in self._arbiters.values():
            yield arbiter.deadline_s()
        yield self._exercises.deadline_s()
        yield from self._buttons.deadlines()
        yield self._alarms.deadline_s()
        yield self._adapters.deadline_s()

    # --- the way out --------------------------------------------------------------------------------

    def _finish(self, effects: list[Effect], now_s: float) -> list[Command]:
        """Turn conditions into alarms and show the result."""
        commands: list[Command] = []
        for effect in effects + self._valves_seen(now_s):
            if isinstance(effect, SetCoil):
                continue
            if isinstance(effect, Raise | Clear):
                commands += self._alarms.apply(self._protection.tied(effect), now_s)
                continue
            if isinstance(effect, Remember) and effect.key.startswith("valve/"):
                self._valves_were[effect.key] = effect.value
            commands.append(effect)
        if self._newer is not None:
            self._newer.update(command.key for command in commands if isinstance(command, Remember))
        shown = self._indication(now_s)
        if shown != self._shown:
            self._shown = shown
            commands.append(shown)
        return commands

    def _valves_seen(self, now_s: float) -> list[Effect]:
        """Tell the meters which of their valves have changed; that moves none."""
        effects: list[Effect] = []
        for valve_id, before in self._metered.items():
            state = self._arbiters[valve_id].valve.state
            if state is not before:
                self._metered[valve_id] = state
                effects += self._flow.valve_is(valve_id, state, now_s)
        return effects

    def _indication(self, now_s: float) -> Indicate:
        overrides = [o for a in self._arbiters.values() if (o := a.authority.override) is not None]
        return indicator.choose(
            pressed=self._buttons.pressed(),
            denied=self._buttons.is_denied(now_s),
            alarms=self._alarms,
            overridden=bool(overrides),
            counting_down=any(o.mode is Mode.COUNTDOWN for o in overrides),
        )

    def _why(self, actor: Actor, cause: str) -> Why:
        self._causes += 1
        return Why(actor, cause, f"{self._era}-{self._causes}")
