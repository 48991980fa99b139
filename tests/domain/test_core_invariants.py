"""Arbitrary sequences of events against the rules of docs/safety.md."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway.domain.commands import Command, Record, SetCoil
from gateway.domain.events import (
    AcknowledgeRequested,
    AdapterFailed,
    AdapterRecovered,
    ButtonChanged,
    CoilFailed,
    DeadlinePassed,
    EndSwitchChanged,
    ExerciseRequested,
    FrameRejected,
    LinkChanged,
    MemoryRead,
    MeterPulsed,
    OccupancyRequested,
    ResetRequested,
    SensorFaulted,
    SensorRead,
    ShelveRequested,
    TimeTold,
    ValveFound,
    ValveRequested,
    WalkTestRequested,
)
from gateway.domain.model import ActorKind, Coil, Json, Occupancy, Position, Reading, Wish
from gateway.domain.site import OverridePolicy
from tests.fakes.metered import AT_NIGHT, AWAY, BURST, metered_site
from tests.fakes.site import ALL_OPEN, Stage

VALVES = st.sampled_from(["main", "branch", "tap"])
SENSORS = st.sampled_from(["sump", "floor", "sink"])
ALARMS = st.sampled_from(
    [
        "leak/zone/plant",
        "leak/zone/kitchen",
        "flow/rule/burst",
        "flow/rule/away",
        "flow/rule/night",
        "still-flowing/meter/incoming",
        "fail-to-close/valve/main",
        "memory-lost/gateway",
        "nonsense",
    ]
)
METERS = st.sampled_from(["incoming", "kitchen"])
QUICK_RULES = (
    replace(BURST, for_s=10.0),
    replace(AWAY, for_s=30.0, pre_alarm_s=10.0),
    replace(AT_NIGHT, for_s=10.0),
)
ZONES_OF = {"main": ("plant",), "branch": ("plant", "kitchen"), "tap": ("kitchen",)}


class AnyBuilding(RuleBasedStateMachine):
    """Everything that can happen, in any order, to the site of tests/fakes."""

    @initialize(readable=st.booleans(), breaks=st.booleans())
    def begin(self, readable: bool, breaks: bool) -> None:
        policy = OverridePolicy(leak_breaks_hold=breaks)
        site = metered_site(policy, rules=QUICK_RULES, button=("main", "branch"))
        self.stage = Stage(site, readable=readable)
        self.unread: dict[str, Json] = {}
        self.run_since_s: dict[tuple[str, Coil], float] = {}
        self.opening_intended: dict[str, bool] = {}
        assert not any(isinstance(command, SetCoil) for command in self.stage.log)

    # --- what happens -------------------------------------------------------------------------------

    def do(self, commands: list[Command], *, person: bool = False) -> None:
        self.check_order(commands)
        self.check_recorded(commands)
        self.check_opening(commands, person=person)
        self.check_runs(commands)

    @rule(sensor=SENSORS, wet=st.sampled_from([True, False, None]), counter=st.integers(0, 40))
    def a_sensor_reports(self, sensor: str, wet: bool | None, counter: int) -> None:
        authentic = True if sensor == "floor" else None
        event = SensorRead(sensor, Reading("any", wet=wet, counter=counter, authentic=authentic))
        before = set(self.stage.alarm_ids())
        commands = self.stage.handle(event)
        self.do(commands)
        for zone in {"leak/zone/plant", "leak/zone/kitchen"} & (self.stage.alarm_ids() - before):
            zone_id = zone.rpartition("/")[2]
            self.check_closing_commanded(self.stage.site.zones[zone_id].valves, "a leak")

    @rule(sensor=SENSORS, authentic=st.sampled_from([False, None]), wet=st.booleans())
    def a_forger_sends(self, sensor: str, authentic: bool | None, wet: bool) -> None:
        if sensor == "floor":
            forged = Reading("bthome-v2", wet=wet, counter=10**6, authentic=authentic)
            self.do(self.stage.handle(SensorRead("floor", forged)))
        self.do(self.stage.handle(FrameRejected(sensor, "garbage")))

    @rule(meter=METERS, pulses=st.integers(1, 30), gap_s=st.sampled_from([0.0, 0.06, 0.9, 1.5, 9.0, 600.0]))
    def water_flows(self, meter: str, pulses: int, gap_s: float) -> None:
        before = self.counted(meter)
        for _ in range(pulses):
            self.time_passes(gap_s)
            rules_were = self.closing_rules()
            commands = self.stage.handle(MeterPulsed(meter))
            assert not any(self.towards_open(command) for command in commands), "water opens no valve"
            self.do(commands)
            for rule_id in self.closing_rules() - rules_were:
                self.check_closing_commanded(self.stage.site.meters[meter].valves, f"flow rule {rule_id}")
        assert self.counted(meter) == before + pulses

    @rule(hours=st.integers(0, 167), trusted=st.booleans())
    def the_time_is_told(self, hours: int, trusted: bool) -> None:
        self.do(self.stage.handle(TimeTold(1_795_392_000.0 + hours * 3600.0, hours * 60, trusted)))

    @rule(mode=st.sampled_from(list(Occupancy)), may_open=st.booleans())
    def somebody_says_how_the_building_is_used(self, mode: Occupancy, may_open: bool) -> None:
        request = self.stage.request(may_open=may_open)
        self.do(self.stage.handle(OccupancyRequested(mode, request)))

    @rule(meter=METERS, back=st.booleans())
    def a_meter_fails(self, meter: str, back: bool) -> None:
        self.do(self.stage.handle(AdapterFailed(f"meter/{meter}", "line lost")))
        if back:
            self.do(self.stage.handle(AdapterRecovered(f"meter/{meter}")))

    @rule()
    def the_disk_answers_late(self) -> None:
        self.do(self.stage.handle(MemoryRead(self.unread)))

    @rule(sensor=SENSORS)
    def a_sensor_is_faulty(self, sensor: str) -> None:
        self.do(self.stage.handle(SensorFaulted(sensor, "loop open")))

    @rule(seconds=st.sampled_from([0.01, 0.3, 2.0, 3.5, 12.0, 70.0]))
    def the_button_is_pressed(self, seconds: float) -> None:
        self.do(self.stage.handle(ButtonChanged("lobby", pressed=True)))
        self.time_passes(seconds)
        self.do(self.stage.handle(ButtonChanged("lobby", pressed=False)), person=True)

    @rule(pressed=st.booleans())
    def the_board_was_away(self, pressed: bool) -> None:
        self.do(self.stage.handle(ButtonChanged("lobby", pressed, is_edge=False)))

    @rule(
        valve=VALVES,
        wish=st.sampled_from(list(Wish)),
        may_open=st.booleans(),
        local=st.booleans(),
        patience_s=st.sampled_from([0.3, 3.0, 60.0]),
    )
    def a_person_asks(self, valve: str, wish: Wish, may_open: bool, local: bool, patience_s: float) -> None:
        kind = ActorKind.LOCAL if local else ActorKind.REMOTE
        request = self.stage.request(may_open=may_open, kind=kind, expires_in_s=patience_s)
        latched = any(f"leak/zone/{zone}" in self.latched() for zone in ZONES_OF[valve])
        rules = [self.stage.site.flow_rules[rule_id] for rule_id in self.closing_rules()]
        latched = latched or any(valve in self.stage.site.meters[rule.meter].valves for rule in rules)
        override = self.stage.valve(valve)["override"]
        commands = self.stage.handle(ValveRequested(valve, wish, request))
        self.do(commands, person=may_open or wish is Wish.AUTO)
        opens = any(self.towards_open(command) for command in commands)
        if latched and opens:
            # only a local hold that a lockout had suspended may come back
            assert wish is Wish.AUTO
            assert isinstance(override, dict)
            assert override["mode"] == "hold"

    @rule(alarm=ALARMS, what=st.sampled_from(["ack", "reset", "shelve"]))
    def a_person_handles_an_alarm(self, alarm: str, what: str) -> None:
        request = self.stage.request(may_open=False)
        if what == "ack":
            self.do(self.stage.handle(AcknowledgeRequested(alarm, request)))
        elif what == "reset":
            self.do(self.stage.handle(ResetRequested(alarm, request)))
        else:
            self.do(self.stage.handle(ShelveRequested(alarm, 600.0, request)))

    @rule(end=st.sampled_from(list(Position)), made=st.booleans())
    def an_end_switch_changes(self, end: Position, made: bool) -> None:
        self.do(self.stage.handle(EndSwitchChanged("main", end, made)))

    @rule(sensor=SENSORS)
    def a_driver_fails(self, sensor: str) -> None:
        self.do(self.stage.handle(AdapterFailed(f"sensor/{sensor}", "gone")))

    @rule(valve=VALVES)
    def a_line_fails(self, valve: str) -> None:
        self.do(self.stage.handle(CoilFailed(valve, "the expander does not answer")))

    @rule(valve=VALVES)
    def somebody_asks_for_an_exercise(self, valve: str) -> None:
        self.do(self.stage.handle(ExerciseRequested(valve, self.stage.request())), person=True)

    @rule(zone=st.sampled_from(["plant", "kitchen"]), on=st.booleans())
    def somebody_walks_through(self, zone: str, on: bool) -> None:
        request = self.stage.request(kind=ActorKind.LOCAL)
        self.do(self.stage.handle(WalkTestRequested(zone, on, request)))

    @rule(up=st.booleans())
    def the_link_changes(self, up: bool) -> None:
        self.do(self.stage.handle(LinkChanged(up)))
        self.do(self.stage.handle(AdapterFailed("ble", "gone")))

    @rule(seconds=st.sampled_from([0.1, 0.6, 1.0, 6.0, 20.0, 61.0, 130.0, 4000.0, 9 * 3600.0]))
    def time_passes(self, seconds: float) -> None:
        end_s = self.stage.now_s + seconds
        calls = 0
        while (due_s := self.stage.core.next_deadline_s()) is not None and due_s <= end_s:
            calls += 1
            assert calls < 10_000, "a deadline is never met"
            self.stage.now_s = max(self.stage.now_s, due_s)
            self.do(self.stage.handle(DeadlinePassed()))
        self.stage.now_s = end_s

    @rule(readable=st.booleans())
    def the_gateway_restarts(self, readable: bool) -> None:
        stage, coils = self.stage, self.stage.coils
        found = tuple(
            ValveFound(
                event.valve_id, {coil: coils[event.valve_id, coil] for coil in event.coils}, event.switches
            )
            for event in ALL_OPEN
        )
        self.unread = dict(stage.memory)
        self.stage = Stage(stage.site, stage.memory, found, now_s=stage.now_s, readable=readable)
        self.run_since_s = {}
        self.do(self.stage.log)

    # --- what must hold -----------------------------------------------------------------------------

    def latched(self) -> set[str]:
        alarms = self.stage.core.view(self.stage.now_s)["alarms"]
        assert isinstance(alarms, list)
        return {str(a["id"]) for a in alarms if isinstance(a, dict) and a["latched"]}

    def closing_rules(self) -> set[str]:
        rules = self.stage.core.view(self.stage.now_s)["flow_rules"]
        assert isinstance(rules, dict)
        return {key for key, rule in rules.items() if isinstance(rule, dict) and rule["closing"]}

    def counted(self, meter: str) -> int:
        meters = self.stage.core.view(self.stage.now_s)["meters"]
        assert isinstance(meters, dict)
        shown = meters[meter]
        assert isinstance(shown, dict)
        return int(str(shown["pulses"]))

    @staticmethod
    def towards_open(command: Command) -> bool:
        return isinstance(command, SetCoil) and command.coil is Coil.OPEN and command.energised

    @staticmethod
    def check_order(commands: list[Command]) -> None:
        kinds = [isinstance(command, SetCoil) for command in commands]
        assert kinds == sorted(kinds, reverse=True), "what moves a valve stands first"

    @staticmethod
    def check_recorded(commands: list[Command]) -> None:
        moved = {f"valve/{command.valve_id}" for command in commands if isinstance(command, SetCoil)}
        recorded = {c.subject for c in commands if isinstance(c, Record) and str(c.actor)}
        assert moved <= recorded, "every motion is recorded"

    def check_opening(self, commands: list[Command], *, person: bool) -> None:
        for command in commands:
            if not isinstance(command, SetCoil):
                continue
            state = self.stage.valve(command.valve_id)["state"]
            if self.towards_open(command):
                # after a dead time the motor starts on its own: the person's will was recorded before
                intended = person or self.opening_intended.get(command.valve_id, False) or state == "testing"
                assert intended, f"nobody asked to open {command.valve_id}"
        for valve in ZONES_OF:
            opening = self.stage.valve(valve)["state"] in ("opening", "testing")
            self.opening_intended[valve] = opening and (person or self.opening_intended.get(valve, False))

    def check_runs(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, SetCoil) and command.valve_id in ("main", "tap"):
                key = (command.valve_id, command.coil)
                if command.energised:
                    self.run_since_s.setdefault(key, self.stage.now_s)
                else:
                    self.run_since_s.pop(key, None)

    def check_closing_commanded(self, valves: tuple[str, ...], cause: str) -> None:
        for valve in valves:
            view = self.stage.valve(valve)
            override = view["override"]
            if view["authority"] == "lockout" or (
                isinstance(override, dict) and override["position"] == "open"
            ):
                continue
            assert view["state"] in ("closing", "closed", "fault"), f"{valve} is {view['state']} in {cause}"
            assert not self.stage.coils.get((valve, Coil.OPEN)), f"{valve} is still driven open"

    @invariant()
    def never_both_directions_and_every_run_is_bounded(self) -> None:
        if not hasattr(self, "stage"):
            return
        for valve in ("main", "tap"):
            assert not (self.stage.coils[valve, Coil.OPEN] and self.stage.coils[valve, Coil.CLOSE])
        for (valve, coil), since_s in self.run_since_s.items():
            bound_s = 60.0 if valve == "main" else 1.0
            assert self.stage.now_s - since_s <= bound_s + 0.001, f"{valve} {coil} runs too long"

    @invariant()
    def the_view_can_always_be_drawn(self) -> None:
        if hasattr(self, "stage"):
            assert self.stage.core.view(self.stage.now_s)["state"] in (
                "normal",
                "trouble",
                "supervisory",
                "alarm",
            )


AnyBuilding.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyBuilding = AnyBuilding.TestCase
