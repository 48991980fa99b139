"""The small site with a water meter behind the main valve, and a stage on which water flows."""

from dataclasses import replace

from gateway.domain.commands import Command
from gateway.domain.events import MeterPulsed, OccupancyRequested, TimeTold, ValveFound
from gateway.domain.model import ActorKind, Json, Occupancy
from gateway.domain.site import ButtonSpec, FlowRuleSpec, MeterSpec, OverridePolicy, Period, Site
from tests.fakes.meter import ReedMeter
from tests.fakes.site import ALL_OPEN, Stage, small_site

NIGHT = Period(start_min=22 * 60, end_min=24 * 60)
BURST = FlowRuleSpec(id="burst", meter="incoming", above_l_per_min=30.0, for_s=60.0)
AWAY = FlowRuleSpec(
    id="away",
    meter="incoming",
    above_l_per_min=2.0,
    for_s=600.0,
    pre_alarm_s=120.0,
    modes=frozenset({Occupancy.UNOCCUPIED}),
)
AT_NIGHT = FlowRuleSpec(id="night", meter="kitchen", above_l_per_min=5.0, for_s=120.0, periods=(NIGHT,))


def metered_site(
    override: OverridePolicy | None = None,
    *,
    litres_per_pulse: float = 1.0,
    rules: tuple[FlowRuleSpec, ...] = (BURST, AWAY, AT_NIGHT),
    button: tuple[str, ...] = ("main",),
) -> Site:
    """The main valve stops all water; the kitchen's meter has branch and tap in series."""
    meters = (
        MeterSpec(id="incoming", litres_per_pulse=litres_per_pulse, valves=("main",)),
        MeterSpec(id="kitchen", litres_per_pulse=litres_per_pulse, valves=("branch", "tap")),
    )
    return replace(
        small_site(override),
        meters={meter.id: meter for meter in meters},
        flow_rules={rule.id: rule for rule in rules},
        buttons={"lobby": ButtonSpec(id="lobby", valves=button)},
    )


class WaterStage(Stage):
    """A stage with flowing water; what the valves do to it is up to the scene."""

    def __init__(
        self,
        site: Site | None = None,
        memory: dict[str, Json] | None = None,
        found: tuple[ValveFound, ...] = ALL_OPEN,
        *,
        readable: bool = True,
        now_s: float = 1000.0,
    ) -> None:
        super().__init__(site or metered_site(), memory, found, readable=readable, now_s=now_s)
        self.reeds = {key: ReedMeter(meter.litres_per_pulse) for key, meter in self.site.meters.items()}

    def flow(self, l_per_min: float, seconds: float, meter_id: str = "incoming") -> list[Command]:
        """Let water run through one meter, pulse by pulse; return all commands meanwhile."""
        commands, end_s = [], self.now_s + seconds
        for at_s in self.reeds[meter_id].run(l_per_min, self.now_s, seconds):
            commands += self.wait(max(0.0, at_s - self.now_s))
            commands += self.handle(MeterPulsed(meter_id))
        return commands + self.wait(max(0.0, end_s - self.now_s))

    def occupy(self, mode: Occupancy, *, may_open: bool = True) -> list[Command]:
        """A person says how the building is used."""
        request = self.request(may_open=may_open, kind=ActorKind.LOCAL)
        return self.handle(OccupancyRequested(mode, request))

    def time(self, minute_of_week: int, *, trusted: bool = True) -> list[Command]:
        """Somebody looks at the clock."""
        unix_s = 1_795_392_000.0 + minute_of_week * 60.0
        return self.handle(TimeTold(unix_s, minute_of_week, trusted))

    def rule(self, rule_id: str = "burst") -> dict[str, Json]:
        """The rule's view."""
        return self._part("flow_rules", rule_id)

    def meter(self, meter_id: str = "incoming") -> dict[str, Json]:
        """The meter's view."""
        return self._part("meters", meter_id)

    def _part(self, collection: str, name: str) -> dict[str, Json]:
        parts = self.core.view(self.now_s)[collection]
        assert isinstance(parts, dict)
        part = parts[name]
        assert isinstance(part, dict)
        return part
