"""One meter with all that hangs on it: totals, use, the closures of its valves, and what is told of it.

Totals are remembered once a minute while water runs, and with the pulse if those are further apart: an SD
card wears, and a power cut may cost a minute of counting.
"""

import math
from collections.abc import Mapping
from typing import TypeAlias

from gateway.domain.commands import Publish, Remember
from gateway.domain.effects import Clear, Effect, Raise
from gateway.domain.flow import closure as closures
from gateway.domain.flow import meter as meters
from gateway.domain.flow import usage as use
from gateway.domain.flow.closure import Closure
from gateway.domain.flow.demand import Finding, Seen
from gateway.domain.flow.meter import Edge, Flow, FlowState
from gateway.domain.flow.setting import Clock
from gateway.domain.model import Channel, Json, SignalClass
from gateway.domain.site import MeterSpec
from gateway.domain.valve.model import ValveState

STILL_FLOWING = "still-flowing"

SAVE_EVERY_S = 60.0
TELL_EVERY_S = 60.0
"""That a flow began or ended is told at most this often."""

Judged: TypeAlias = tuple[list[Finding], list[Effect]]


class Metered:
    """State of one meter and its valves.

    Args:
        spec: The meter.
        retry_every_s: How often each of its valves is driven closed again while it lets water through.
    """

    def __init__(self, spec: MeterSpec, retry_every_s: Mapping[str, float]) -> None:
        self._spec = spec
        self._retry_every_s = retry_every_s
        self._meter = meters.found(spec, 0.0)
        self._uses = (use.new("hour", 0.0), use.new("day", 0.0))
        self._closures = dict.fromkeys(retry_every_s, Closure())
        self._passing: frozenset[str] = frozenset()
        self._saved_s = -math.inf
        self._save_due_s: float | None = None
        self._told = FlowState.NONE
        self._told_s = -math.inf
        self._tell_due_s: float | None = None

    def start(self, memory: Json, now_s: float) -> None:
        """Begin to count, from what was remembered; what makes no sense counts as nothing."""
        self._meter = meters.found(self._spec, now_s)
        self._uses = (use.new("hour", now_s), use.new("day", now_s))
        self._take_over(memory, now_s)

    def recall(self, memory: Json, clock: Clock, now_s: float) -> list[Effect]:
        """Add what was remembered and is known only now; the total goes up."""
        self._take_over(memory, now_s)
        return [*self.clock_told(clock, now_s), self.save(now_s)]

    def _take_over(self, memory: Json, now_s: float) -> None:
        match memory:
            case {
                "pulses": int() as pulses,
                "litres": int() | float() as litres,
                "hour": hour,
                "day": day,
            } if pulses >= 0 <= litres:
                self._meter = meters.with_total(self._meter, pulses, litres)
                of_hour, of_day = self._uses
                self._uses = (use.recall(of_hour, hour, now_s), use.recall(of_day, day, now_s))

    # --- what happens -------------------------------------------------------------------------------

    def pulsed(self, pulses: int, clock: Clock, now_s: float) -> Judged:
        """Count; judge the valves that are closed."""
        effects = self._advance(clock, now_s)
        self._meter = meters.pulsed(self._meter, pulses, now_s)
        litres = pulses * self._spec.litres_per_pulse
        hour, day = self._uses
        self._uses = (use.counted(hour, pulses, litres), use.counted(day, pulses, litres))
        findings: list[Finding] = []
        for valve_id, before in self._closures.items():
            retry_s = self._retry_every_s[valve_id]
            after, seen = closures.pulsed(before, self.edges, self._spec, retry_s, now_s)
            self._closures[valve_id] = after
            findings += [] if seen is None else [Finding(self._spec.id, valve_id, seen)]
        # a period that was told is not remembered as one that goes on: a power cut would have it told twice
        kept = [self.save(now_s)] if effects else self._keep(now_s)
        return findings, [*self._alarm(), *effects, *self._tell(now_s), *kept]

    def valve_is(self, valve_id: str, state: ValveState, now_s: float) -> list[Effect]:
        """Take a new state of one of its valves."""
        cadence_s = meters.cadence_s(self._meter, now_s)
        self._closures[valve_id] = closures.valve_is(self._closures[valve_id], state, cadence_s, now_s)
        return self._alarm()

    def clock_told(self, clock: Clock, now_s: float) -> list[Effect]:
        """Take the time: an hour or a day may be over."""
        effects = self._advance(clock, now_s)
        return [*effects, self.save(now_s)] if effects else []

    def tick(self, now_s: float) -> Judged:
        """Notice that no pulse came; save and tell what is due."""
        findings: list[Finding] = []
        if not self._meter.is_deaf:
            for valve_id, before in self._closures.items():
                self._closures[valve_id], seen = closures.tick(before, self._spec, now_s)
                if seen is not None:
                    findings.append(Finding(self._spec.id, valve_id, self._by(valve_id)))
        effects = self._alarm()
        if self._tell_due_s is not None and now_s >= self._tell_due_s:
            effects += self._tell(now_s)
        if self._save_due_s is not None and now_s >= self._save_due_s:
            effects.append(self.save(now_s))
        return findings, effects

    def deafened(self) -> None:
        """The meter cannot be heard: silence proves nothing."""
        self._meter = meters.deafened(self._meter)
        self._closures = {key: closures.deafened(state) for key, state in self._closures.items()}
        self._tell_due_s = max(0.0, self._told_s + TELL_EVERY_S)

    def heard(self, now_s: float) -> None:
        """The meter can be heard again."""
        if self._meter.is_deaf:
            self._meter = meters.heard(self._meter, now_s)
            self._closures = {key: closures.heard(state, now_s) for key, state in self._closures.items()}
            self._tell_due_s = now_s

    def save(self, now_s: float) -> Remember:
        """Return what is to survive a restart."""
        self._saved_s, self._save_due_s = now_s, None
        hour, day = self._uses
        value: Json = {
            "pulses": self._meter.pulses,
            "litres": self._meter.litres,
            "hour": use.memory(hour, now_s),
            "day": use.memory(day, now_s),
        }
        return Remember(f"meter/{self._spec.id}", value, urgent=False)

    # --- questions ----------------------------------------------------------------------------------

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The latest pulses."""
        return self._meter.edges

    @property
    def is_deaf(self) -> bool:
        """The meter cannot be heard."""
        return self._meter.is_deaf

    def deadline_s(self) -> float:
        """Return when `tick` is wanted; infinity if not before the next event."""
        due = [self._save_due_s, self._tell_due_s]
        if not self._meter.is_deaf:
            due += [closures.deadline_s(state, self._spec) for state in self._closures.values()]
        return min((at_s for at_s in due if at_s is not None), default=math.inf)

    def view(self, now_s: float) -> dict[str, Json]:
        """Return the meter as persons and programs see it (docs/protocol.md, snapshot)."""
        meter, spec = self._meter, self._spec
        flow = meters.flow(meter, now_s)
        hour, day = self._uses
        return {
            "name": spec.name,
            "litres_per_pulse": spec.litres_per_pulse,
            "valves": list(spec.valves),
            **_flow(flow),
            "over_s": round(flow.over_s, 3),
            "last_pulse_s_ago": None if meter.last_s is None else now_s - meter.last_s,
            "pulses": meter.pulses,
            "litres": round(meter.litres, 3),
            "hour_litres": round(use.litres(hour), 3),
            "day_litres": round(use.litres(day), 3),
            "still_flowing": bool(self._passing),
        }

    # --- inside -------------------------------------------------------------------------------------

    def _advance(self, clock: Clock, now_s: float) -> list[Effect]:
        effects: list[Effect] = []
        advanced = []
        for before in self._uses:
            after, over = use.advance(before, clock, now_s)
            advanced.append(after)
            total: dict[str, Json] = {"total_litres": round(self._meter.litres, 3)}
            named: dict[str, Json] = {"meter_id": self._spec.id}
            effects += [Publish(Channel.TELE, "water", {**named, **body, **total}) for body in over]
        self._uses = (advanced[0], advanced[1])
        return effects

    def _by(self, valve_id: str) -> Seen:
        """Return what it shows of this valve that the water has stopped."""
        others = (state.state for key, state in self._closures.items() if key != valve_id)
        return Seen.QUIET if any(state in closures.SHUT for state in others) else Seen.STOPPED

    def _alarm(self) -> list[Effect]:
        """Raise or end the highest of all alarms."""
        passing = frozenset(key for key, state in self._closures.items() if state.is_passing)
        before, self._passing = self._passing, passing
        if passing == before:
            return []
        subject = f"meter/{self._spec.id}"
        if not passing:
            return [Clear(STILL_FLOWING, subject)]
        names = " and ".join(sorted(passing))
        detail = (
            f"water runs though {names} is closed: shut the water off by hand, before meter {self._spec.id}"
        )
        return [Raise(STILL_FLOWING, subject, SignalClass.ALARM, detail, latched=True)]

    def _tell(self, now_s: float) -> list[Effect]:
        """Tell that a flow began or ended, sparingly."""
        flow, over_s = meters.flow(self._meter, now_s), meters.flow_over_s(self._meter)
        is_news, soonest_s = flow.state is not self._told, self._told_s + TELL_EVERY_S
        if is_news and now_s < soonest_s:
            self._tell_due_s = soonest_s
            return []
        if is_news:
            self._told, self._told_s = flow.state, now_s
            soonest_s = now_s + TELL_EVERY_S
        is_flowing = self._told is FlowState.FLOWING and over_s is not None
        self._tell_due_s = max(over_s or 0.0, soonest_s) if is_flowing else None
        return [self._flow_news(flow)] if is_news else []

    def _flow_news(self, flow: Flow) -> Publish:
        litres = round(self._meter.litres, 3)
        return Publish(Channel.TELE, "flow", {"meter_id": self._spec.id, **_flow(flow), "litres": litres})

    def _keep(self, now_s: float) -> list[Effect]:
        if now_s >= self._saved_s + SAVE_EVERY_S:
            return [self.save(now_s)]
        self._save_due_s = self._saved_s + SAVE_EVERY_S
        return []


def _flow(flow: Flow) -> dict[str, Json]:
    return {
        "state": flow.state.value,
        "l_per_min": None if flow.l_per_min is None else float(f"{flow.l_per_min:.4g}"),
        "at_least_l_per_min": flow.at_least,
        "at_most_l_per_min": flow.at_most,
    }
