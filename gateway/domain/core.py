"""The core: what happened goes in, what to do about it comes out, at once and without I/O.

    sensor, zone            arbiter (authority, override, valve)      alarm, indicator
    ---------------         ------------------------------------      ----------------
    reading -> wet?  ---->  who decides? -> which way? -> coil  ----> who is told?

Rules that hold for every call, whatever came before (tests/domain/test_core_invariants.py):

* An event that no authorised person caused never opens a valve; neither do a start, a reconnect or time.
* A confirmed leak commands its valves closed in the same call, unless a person holds them locally.
* The commands that move a valve stand first in the list.
* Everything that moves a valve is recorded with actor and cause.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from gateway.domain import indicator, view
from gateway.domain.alarm.table import AlarmTable
from gateway.domain.authority import button, presses
from gateway.domain.authority.arbiter import Arbiter
from gateway.domain.authority.button import Button
from gateway.domain.authority.override import Mode
from gateway.domain.authority.requests import MEMORY_LOST, Requests
from gateway.domain.commands import Command, Indicate, Record, Remember, SetCoil
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
    SensorFaulted,
    SensorRead,
    ValveFound,
)
from gateway.domain.leak.watch import Demand, Turn, Watch
from gateway.domain.model import Actor, ActorKind, Json, LedPattern, SignalClass
from gateway.domain.site import Site

_DENIED_SHOWN_S = 3.0
_MOMENTARY = Clear(MEMORY_LOST.kind, MEMORY_LOST.subject)
"""The condition is over at once; the latch remains."""


class Core:
    """Decides for one site.

    Args:
        site: The validated configuration.
        era: Makes correlation ids unique across restarts (the store's epoch).
    """

    def __init__(self, site: Site, era: str = "0") -> None:
        self._site = site
        self._era = era
        self._causes = 0
        self._watch = Watch(site)
        self._arbiters = {spec.id: Arbiter(spec, site.override) for spec in site.valves.values()}
        self._buttons = {spec.id: Button(spec, site.override) for spec in site.buttons.values()}
        self._alarms = AlarmTable()
        self._requests = Requests(self._alarms, self._watch, self._arbiters, self._meet)
        self._leak_ids: dict[str, str] = {}
        self._valves_were: dict[str, Json] = {}
        self._link_lost_at_s: float | None = None
        self._denied_until_s: float | None = None
        self._shown = Indicate(LedPattern.AUTO, indicator.SILENT)

    # --- the three calls ----------------------------------------------------------------------------

    def start(
        self, memory: Mapping[str, Json] | None, found: Sequence[ValveFound], now_s: float
    ) -> list[Command]:
        """Take over what was before the restart and the valves as they are.

        Args:
            memory: What was remembered; None if it cannot be read, which counts as "latched".
            found: Present levels of every valve's lines.
            now_s: Monotonic seconds.
        """
        known = memory or {}
        effects: list[Effect] = [] if memory is not None else [MEMORY_LOST, _MOMENTARY]
        commands = self._alarms.restore(known, now_s)
        self._watch.start(known, self._alarms.is_latched, now_s)
        self._valves_were = {key: value for key, value in known.items() if key.startswith("valve/")}
        for valve_id, arbiter in self._arbiters.items():
            effects += arbiter.restore(known, self._latched_leaks(valve_id), now_s)
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

    def next_deadline_s(self) -> float | None:
        """Return when `DeadlinePassed` is wanted, monotonic seconds; None: only after the next event."""
        return min((at_s for at_s in self._deadlines() if at_s is not None), default=None)

    def view(self, now_s: float) -> dict[str, Json]:
        """Return the whole site as persons and programs see it (docs/protocol.md, snapshot)."""
        zones, sensors = self._watch.view(now_s)
        return view.site_view(
            zones=zones,
            sensors=sensors,
            valves={key: arbiter.view(now_s) for key, arbiter in self._arbiters.items()},
            alarms=self._alarms.view(now_s),
            shown=self._shown,
        )

    # --- dispatch -----------------------------------------------------------------------------------

    def _effects(self, event: Event, now_s: float) -> list[Effect]:
        match event:
            case SensorRead() | SensorFaulted() | FrameRejected():
                demands, effects = self._watch.sense(event, now_s)
                return self._meet(demands, now_s) + effects
            case EndSwitchChanged() | CoilFailed() if event.valve_id in self._arbiters:
                effects = self._arbiters[event.valve_id].step(event, now_s)
                demands, changes = self._watch.valve_reported(event.valve_id, now_s)
                return effects + self._meet(demands, now_s) + changes
            case ButtonChanged(button_id) if button_id in self._buttons:
                return self._button(event, now_s)
            case DeadlinePassed():
                return self._tick(now_s)
            case AdapterFailed() | AdapterRecovered() | LinkChanged():
                return self._outside(event, now_s)
            case ValveFound(valve_id) if valve_id in self._arbiters:
                memory = self._valves_were.get(f"valve/{valve_id}")
                return self._arbiters[valve_id].found(event, memory, now_s)
            case EndSwitchChanged() | CoilFailed() | ButtonChanged() | ValveFound():
                return []
            case _:
                return self._requests.handle(event, now_s)

    # --- water --------------------------------------------------------------------------------------

    def _meet(self, demands: Iterable[Demand], now_s: float) -> list[Effect]:
        """Pass on to the valves what the zones want."""
        effects: list[Effect] = []
        for demand in demands:
            why = self._why(Actor(ActorKind.LEAK_PROTECTION, f"zone/{demand.zone_id}"), "leak confirmed")
            self._leak_ids[demand.zone_id] = why.correlation_id
            for valve_id in demand.valves:
                arbiter = self._arbiters[valve_id]
                if demand.turn is Turn.ENDED:
                    arbiter.relax(demand.zone_id)
                else:
                    again = demand.turn is Turn.STANDING
                    effects += arbiter.protect(demand.zone_id, why, now_s, again=again)
        return effects

    def _latched_leaks(self, valve_id: str) -> dict[str, Why]:
        return {
            zone_id: Why(Actor(ActorKind.LEAK_PROTECTION, f"zone/{zone_id}"), "leak before the restart", "")
            for zone_id in self._watch.demanding(valve_id)
        }

    # --- valves -------------------------------------------------------------------------------------

    def _button(self, event: ButtonChanged, now_s: float) -> list[Effect]:
        button_id, before = event.button_id, self._buttons[event.button_id]
        if not event.is_edge:
            self._buttons[button_id], effects = button.found(before, event.pressed, now_s)
            return effects
        self._buttons[button_id], press, effects = button.change(before, event.pressed, now_s)
        if press is None:
            return effects
        valve_ids = self._buttons[button_id].spec.valves or tuple(self._arbiters)
        arbiters = [self._arbiters[valve_id] for valve_id in valve_ids]
        latched = any(arbiter.authority.leaks for arbiter in arbiters)
        latched = latched or self._alarms.is_latched(MEMORY_LOST.alarm_id)
        why = self._why(Actor(ActorKind.BUTTON, button_id), f"{press} press")
        motion = presses.press(arbiters, press, why, now_s, latched=latched)
        return effects + (self._deny(why, now_s) if motion is None else motion)

    def _deny(self, why: Why, now_s: float) -> list[Effect]:
        self._denied_until_s = now_s + _DENIED_SHOWN_S
        detail: dict[str, Json] = {"problem": "a leak alarm is latched: opening needs the long press"}
        subject = f"button/{why.actor.name}"
        return [Record("override.denied", subject, why.actor, why.cause, why.correlation_id, detail)]

    # --- time and the outside -----------------------------------------------------------------------

    def _outside(self, event: AdapterFailed | AdapterRecovered | LinkChanged, now_s: float) -> list[Effect]:
        match event:
            case AdapterFailed(adapter, problem):
                trouble = Raise("adapter", adapter, SignalClass.TROUBLE, problem)
                return [*self._deaf(adapter, problem, now_s), trouble]
            case AdapterRecovered(adapter):
                return [Clear("adapter", adapter)]
            case LinkChanged(up=True):
                self._link_lost_at_s = None
                return [Clear("cloud-lost", "gateway")]
            case LinkChanged() if self._link_lost_at_s is None:
                self._link_lost_at_s = now_s
        return []

    def _deaf(self, adapter: str, problem: str, now_s: float) -> list[Effect]:
        """A sensor that cannot be heard says nothing, above all not "dry", until it speaks again."""
        kind, _, sensor_id = adapter.partition("/")
        if kind != "sensor":
            return []
        demands, effects = self._watch.sense(SensorFaulted(sensor_id, problem), now_s)
        return self._meet(demands, now_s) + effects

    def _tick(self, now_s: float) -> list[Effect]:
        demands, effects = self._watch.tick(now_s)
        effects = self._meet(demands, now_s) + effects
        quiet = self._requests.is_quiet
        for arbiter in self._arbiters.values():
            effects += arbiter.tick(now_s) + arbiter.exercise_due(now_s, quiet=quiet)
        for button_id, held in self._buttons.items():
            self._buttons[button_id], changes = button.tick(held, now_s)
            effects += changes
        if self._denied_until_s is not None and now_s >= self._denied_until_s:
            self._denied_until_s = None
        return [*effects, *self._cloud_lost(now_s), *self._alarms.tick(now_s)]

    def _cloud_lost(self, now_s: float) -> list[Effect]:
        lost_at_s, patience_s = self._link_lost_at_s, self._site.cloud_loss_s
        if lost_at_s is None or now_s < lost_at_s + patience_s or self._alarms.active("cloud-lost/gateway"):
            return []
        detail = f"no session with the broker for {patience_s:g} s; the building is protected all the same"
        return [Raise("cloud-lost", "gateway", SignalClass.TROUBLE, detail)]

    def _deadlines(self) -> Iterable[float | None]:
        yield self._watch.deadline_s()
        for arbiter in self._arbiters.values():
            yield arbiter.deadline_s()
        for held in self._buttons.values():
            yield button.deadline_s(held)
        yield self._alarms.deadline_s()
        yield self._denied_until_s
        if self._link_lost_at_s is not None and not self._alarms.active("cloud-lost/gateway"):
            yield self._link_lost_at_s + self._site.cloud_loss_s

    # --- the way out --------------------------------------------------------------------------------

    def _finish(self, effects: Iterable[Effect], now_s: float) -> list[Command]:
        """Turn conditions into alarms and show the result."""
        commands: list[Command] = []
        for effect in effects:
            if isinstance(effect, SetCoil):
                continue
            if isinstance(effect, Raise | Clear):
                commands += self._alarms.apply(self._tied(effect), now_s)
                continue
            if isinstance(effect, Remember) and effect.key.startswith("valve/"):
                self._valves_were[effect.key] = effect.value
            commands.append(effect)
        shown = self._indication(now_s)
        if shown != self._shown:
            self._shown = shown
            commands.append(shown)
        return commands

    def _tied(self, effect: Raise | Clear) -> Raise | Clear:
        """Tie a leak alarm to the closing that it caused."""
        if isinstance(effect, Clear) or effect.kind != "leak" or effect.correlation_id:
            return effect
        zone_id = effect.subject.removeprefix("zone/")
        return replace(effect, correlation_id=self._leak_ids.get(zone_id, ""))

    def _indication(self, now_s: float) -> Indicate:
        pressed = [p for b in self._buttons.values() if (p := button.feedback(b)) is not None]
        denied = self._denied_until_s is not None and now_s < self._denied_until_s
        overrides = [o for a in self._arbiters.values() if (o := a.authority.override) is not None]
        return indicator.choose(
            pressed=pressed[0] if pressed else None,
            denied=denied,
            alarms=self._alarms,
            overridden=bool(overrides),
            counting_down=any(o.mode is Mode.COUNTDOWN for o in overrides),
        )

    def _why(self, actor: Actor, cause: str) -> Why:
        self._causes += 1
        return Why(actor, cause, f"{self._era}-{self._causes}")
