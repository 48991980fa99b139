"""What passes the limits closes the valve as early as before, told to two real cores as the same events."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gateway.config import limits
from gateway.domain.core import Core
from gateway.domain.events import DeadlinePassed, Event, SensorFaulted, SensorRead, ValveFound
from gateway.domain.model import Coil, Reading
from gateway.domain.site import Action, SensorSpec, Site, ValveKind, ValveSpec, ZoneSpec

NAMES = ("a", "b", "c", "d")
VALVES = {"main": ValveSpec(id="main", kind=ValveKind.SPRING_RETURN)}

Trace = list[tuple[float, Event]]


def zones(names: tuple[str, ...]) -> st.SearchStrategy[ZoneSpec]:
    members = st.sampled_from([names, names[:2], names[:1]])
    return members.flatmap(
        lambda sensors: st.builds(
            ZoneSpec,
            id=st.just("z"),
            sensors=st.just(sensors),
            valves=st.just(("main",)),
            quorum=st.integers(1, len(sensors)),
            confirm_s=st.just(5.0),
            latch=st.booleans(),
            cooldown_s=st.sampled_from([0.0, 30.0, 90.0]),
            action=st.just(Action.CLOSE),
        )
    )


def site(zone: ZoneSpec, names: tuple[str, ...], silences: Mapping[str, float | None]) -> Site:
    sensors = {name: SensorSpec(id=name, kind="x", silence_s=silences[name]) for name in names}
    return Site(sensors=sensors, zones={"z": zone}, valves=VALVES)


def lowered(old: Site, new: Site) -> list[str]:
    """Judge the sites alone; how things are wired is the same."""
    nothing: dict[str, object] = {}
    wiring = dict.fromkeys(("valves", "buttons", "meters", "serial", "adc", "sensors"), nothing)
    before, after = (SimpleNamespace(site=each, **wiring) for each in (old, new))
    return [*limits._site(before, after)]


def closes_s(which: Site, trace: Trace) -> float:
    """Return when the valve is first driven; infinity if never."""
    core = Core(which)
    core.start({}, [ValveFound("main", {Coil.OPEN: True}, {})], 0.0)
    now_s = 0.0
    dry: Trace = [(0.5, SensorRead(name, Reading("x", wet=False))) for name in which.sensors]
    for at_s, event in [*dry, *trace, (trace[-1][0] + 200.0, DeadlinePassed())]:
        while (due_s := core.next_deadline_s()) is not None and due_s < at_s:
            now_s = max(now_s, due_s) + 1e-6
            if any(type(command).__name__ == "SetCoil" for command in core.handle(DeadlinePassed(), now_s)):
                return now_s
        now_s = at_s
        if any(type(command).__name__ == "SetCoil" for command in core.handle(event, now_s)):
            return now_s
    return float("inf")


@st.composite
def traces(draw: st.DrawFn, names: tuple[str, ...]) -> Trace:
    now_s, trace = 1.0, []
    for _ in range(draw(st.integers(1, 8))):
        now_s += draw(st.sampled_from([0.5, 3.0, 20.0, 700.0]))
        name = draw(st.sampled_from(names))
        wet, dry = (SensorRead(name, Reading("x", wet=is_wet)) for is_wet in (True, False))
        trace.append((now_s, draw(st.sampled_from([wet, SensorFaulted(name, "loop open"), wet, dry]))))
    return trace


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_what_passes_the_limits_closes_as_early_as_before(data: st.DataObject):
    silences = {name: data.draw(st.sampled_from([None, 600.0])) for name in NAMES}
    old = site(data.draw(zones(NAMES[:3])), NAMES[:3], silences)
    zone = old.zones["z"]
    more = data.draw(st.sampled_from([(), NAMES[2:3], NAMES[3:]]))
    sensors = tuple(dict.fromkeys([*reversed(zone.sensors), *more]))
    changed = replace(
        zone,
        sensors=sensors,
        quorum=data.draw(st.integers(1, len(sensors))),
        confirm_s=data.draw(st.sampled_from([0.0, 5.0])),
        latch=data.draw(st.booleans()),
    )
    new = site(changed, NAMES, silences)
    assume(not lowered(old, new))
    trace = data.draw(traces(NAMES[:3]))

    assert closes_s(new, trace) <= closes_s(old, trace) + 0.001
