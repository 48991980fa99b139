"""A small site with every kind of valve, and a stage on which the core plays: it keeps time and the coils."""

from gateway.domain.commands import AnswerRequest, Command, Publish, Record, Remember, SetCoil
from gateway.domain.core import Core
from gateway.domain.events import (
    ButtonChanged,
    DeadlinePassed,
    EndSwitchChanged,
    Event,
    SensorRead,
    ValveFound,
    ValveRequested,
)
from gateway.domain.model import Actor, ActorKind, Coil, Json, Position, Reading, Request, Wish
from gateway.domain.site import ButtonSpec, OverridePolicy, SensorSpec, Site, ValveKind, ValveSpec, ZoneSpec

ENDS = frozenset({"open", "closed"})


def small_site(override: OverridePolicy | None = None) -> Site:
    """Two zones: the plant room closes the main and the branch, the kitchen closes the branch and the tap."""
    sensors = [
        SensorSpec(id="sump", kind="contact"),
        SensorSpec(id="floor", kind="bthome", keyed=True, silence_s=600.0, supervised=True),
        SensorSpec(id="sink", kind="switchbot", silence_s=600.0, supervised=True),
    ]
    valves = [
        ValveSpec(id="main", kind=ValveKind.MOTORISED, end_switches=ENDS, travel_s=10.0),
        ValveSpec(id="branch", kind=ValveKind.SPRING_RETURN, travel_s=5.0),
        ValveSpec(id="tap", kind=ValveKind.LATCHING, travel_s=1.0),
    ]
    zones = [
        ZoneSpec(id="plant", sensors=("sump", "floor"), valves=("main", "branch"), confirm_s=0.0),
        ZoneSpec(id="kitchen", sensors=("sink",), valves=("branch", "tap"), confirm_s=5.0),
    ]
    return Site(
        sensors={spec.id: spec for spec in sensors},
        zones={spec.id: spec for spec in zones},
        valves={spec.id: spec for spec in valves},
        buttons={"lobby": ButtonSpec(id="lobby", valves=("main", "branch"))},
        override=override or OverridePolicy(),
    )


ALL_OPEN = (
    ValveFound("main", {Coil.OPEN: False, Coil.CLOSE: False}, {Position.OPEN: True, Position.CLOSED: False}),
    ValveFound("branch", {Coil.OPEN: True}, {}),
    ValveFound("tap", {Coil.OPEN: False, Coil.CLOSE: False}, {}),
)


class Stage:
    """Runs a core in virtual time and keeps what it did to the coils and told the world."""

    def __init__(
        self,
        site: Site | None = None,
        memory: dict[str, Json] | None = None,
        found: tuple[ValveFound, ...] = ALL_OPEN,
        *,
        readable: bool = True,
        now_s: float = 1000.0,
    ) -> None:
        self.site = site or small_site()
        self.core = Core(self.site)
        self.now_s = now_s
        self.memory: dict[str, Json] = dict(memory or {})
        self.coils = {(event.valve_id, coil): on for event in found for coil, on in event.coils.items()}
        self.log: list[Command] = []
        self.last: list[Command] = []
        self._asked = 0
        self._take(self.core.start(self.memory if readable else None, found, self.now_s))

    def handle(self, event: Event) -> list[Command]:
        """Hand one event to the core, now."""
        return self._take([*self.core.handle(event, self.now_s)])

    def _take(self, commands: list[Command]) -> list[Command]:
        self.last = commands
        self.log += commands
        for command in commands:
            if isinstance(command, SetCoil):
                self.coils[command.valve_id, command.coil] = command.energised
            elif isinstance(command, Remember):
                if command.value is None:
                    self.memory.pop(command.key, None)
                else:
                    self.memory[command.key] = command.value
        return commands

    def wait(self, seconds: float) -> list[Command]:
        """Let time pass, deadline by deadline; return everything that was commanded meanwhile."""
        end_s, commands = self.now_s + seconds, []
        for _ in range(100_000):
            due_s = self.core.next_deadline_s()
            if due_s is None or due_s > end_s:
                self.now_s = end_s
                return commands
            self.now_s = max(self.now_s, due_s)
            commands += self.handle(DeadlinePassed())
        raise AssertionError(f"a deadline is never met: {self.core.next_deadline_s()} at {self.now_s}")

    # --- what people and water do -------------------------------------------------------------------

    def wet(self, sensor_id: str = "sump", *, wet: bool = True) -> list[Command]:
        """A wired contact changes."""
        return self.handle(SensorRead(sensor_id, Reading("contact", wet=wet)))

    def press(self, seconds: float) -> list[Command]:
        """A person holds the button."""
        self.handle(ButtonChanged("lobby", pressed=True))
        self.wait(seconds)
        return self.handle(ButtonChanged("lobby", pressed=False))

    def request(
        self, *, may_open: bool = True, kind: ActorKind = ActorKind.REMOTE, expires_in_s: float = 60.0
    ) -> Request:
        """An authenticated person asks."""
        self._asked += 1
        expires_s = self.now_s + expires_in_s
        return Request(f"cmd-{self._asked}", Actor(kind, "alice"), "because", expires_s, may_open)

    def ask(
        self, wish: Wish, valve_id: str = "main", *, may_open: bool = True, kind: ActorKind = ActorKind.REMOTE
    ) -> list[Command]:
        """A person asks something of a valve."""
        return self.handle(ValveRequested(valve_id, wish, self.request(may_open=may_open, kind=kind)))

    def switch(self, end: Position, *, made: bool) -> list[Command]:
        """An end switch of the main valve reports."""
        return self.handle(EndSwitchChanged("main", end, made))

    def main_travels(self, to: Position) -> None:
        """The main valve leaves one end and reaches the other in 8 s."""
        other = Position.OPEN if to is Position.CLOSED else Position.CLOSED
        self.wait(1.0)
        self.switch(other, made=False)
        self.wait(7.0)
        self.switch(to, made=True)

    # --- what is to be seen -------------------------------------------------------------------------

    def answers(self) -> list[tuple[str, str]]:
        """(state, reason) of every answer to a request so far."""
        return [(c.state, c.reason) for c in self.log if isinstance(c, AnswerRequest)]

    def records(self, kind: str) -> list[Record]:
        """Journal entries of one kind."""
        return [c for c in self.log if isinstance(c, Record) and c.kind == kind]

    def published(self) -> list[Publish]:
        """All messages so far."""
        return [c for c in self.log if isinstance(c, Publish)]

    def valve(self, valve_id: str = "main") -> dict[str, Json]:
        """The valve's view."""
        valves = self.core.view(self.now_s)["valves"]
        assert isinstance(valves, dict)
        valve = valves[valve_id]
        assert isinstance(valve, dict)
        return valve

    def alarm_ids(self) -> set[str]:
        """Alarms that are not normal."""
        alarms = self.core.view(self.now_s)["alarms"]
        assert isinstance(alarms, list)
        return {str(alarm["id"]) for alarm in alarms if isinstance(alarm, dict)}

    def is_active(self, alarm_id: str) -> bool:
        """The alarm's condition is present now."""
        alarms = self.core.view(self.now_s)["alarms"]
        assert isinstance(alarms, list)
        return any(
            isinstance(alarm, dict) and alarm["id"] == alarm_id and alarm["active"] for alarm in alarms
        )
