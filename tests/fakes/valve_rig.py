"""A valve on the bench: moves by its coils, makes its end switches, and checks every command it gets."""

from collections.abc import Mapping
from typing import TypeVar

from gateway.domain.commands import Publish, Record, Remember, SetCoil
from gateway.domain.effects import Clear, Effect, Raise, Why
from gateway.domain.events import CoilFailed, EndSwitchChanged, ValveFound
from gateway.domain.model import Actor, ActorKind, Coil, Json, Position
from gateway.domain.site import ValveKind, ValveSpec
from gateway.domain.valve import machine
from gateway.domain.valve.machine import LONGEST_WAIT_S, Valve, ValveState
from gateway.domain.valve.motion import LONGEST_PULSE_S

EffectT = TypeVar("EffectT", bound=Effect)

BOTH = frozenset({"open", "closed"})
NEAR = 0.02
"""A switch is made within this share of the travel."""


def why(kind: ActorKind = ActorKind.LOCAL, name: str = "uid:1000", cause: str = "test") -> Why:
    return Why(Actor(kind, name), cause, f"{name}-1")


LEAK = why(ActorKind.LEAK_PROTECTION, "zone/plant-room", "leak confirmed")
PERSON = why()


def spec(
    kind: ValveKind = ValveKind.MOTORISED, switches: frozenset[str] = BOTH, **fields: float
) -> ValveSpec:
    return ValveSpec(id="main", kind=kind, end_switches=switches, **fields)  # type: ignore[arg-type]  # times only


class Rig:
    """Runs a valve controller against a valve that behaves like the real thing, in virtual time.

    `opening` is 0 closed to 1 open. `stalled` stops it, lines that `refuse` fail when set, `stuck` switches
    show what they are told.
    """

    def __init__(self, spec: ValveSpec, opening: float = 1.0, travel_s: float = 8.0) -> None:
        self.spec = spec
        self.opening = opening
        self.travel_s = travel_s
        self.now_s = 1000.0
        self.stalled = False
        self.refusing: set[Coil] = set()
        self.stuck: dict[Position, bool] = {}
        self.on: set[Coil] = set()
        self.log: list[Effect] = []
        self.last: list[Effect] = []
        self.memory: Json = None
        self._pulled = 0
        self._on_since_s: dict[Coil, float] = {}
        self._off_s: dict[Coil, float] = {}
        if spec.kind is ValveKind.SPRING_RETURN and opening > 0.5:
            self.on.add(Coil.OPEN)
        self.valve: Valve
        self.start()

    # --- the controller -----------------------------------------------------------------------------

    def start(self) -> None:
        """A new process finds the valve."""
        coils = {coil: coil in self.on for coil in self._coils()}
        switches = {end: self.made(end) for end in Position if end.value in self.spec.end_switches}
        self._on_since_s = dict.fromkeys(self.on, self.now_s)
        found = ValveFound(self.spec.id, coils, switches)
        self._do(machine.found(self.spec, found, self.memory, self.now_s))

    def restart(self, down_s: float = 0.5) -> None:
        """The process dies and comes back; no start is shorter than the dead time."""
        self._advance(self.now_s + down_s)
        self.start()

    def drive(self, position: Position, cause: Why = PERSON) -> None:
        self._do(machine.drive(self.valve, position, cause, self.now_s))

    def exercise(self) -> None:
        cause = why(ActorKind.EXERCISE, "calendar", "regular exercise")
        self._do(machine.exercise(self.valve, cause, self.now_s))

    def lock_out(self) -> None:
        self._do(machine.take_out_of_service(self.valve, PERSON, self.now_s))

    def unlock(self) -> None:
        self._do(machine.return_to_service(self.valve, PERSON, self.now_s))

    def switch(self, end: Position, made: bool) -> None:
        self._do(machine.step(self.valve, EndSwitchChanged(self.spec.id, end, made), self.now_s))

    def fail_coil(self, problem: str = "no such line") -> None:
        self._do(machine.step(self.valve, CoilFailed(self.spec.id, problem), self.now_s))

    def _coils(self) -> tuple[Coil, ...]:
        return (Coil.OPEN,) if self.spec.kind is ValveKind.SPRING_RETURN else (Coil.OPEN, Coil.CLOSE)

    def _do(self, result: tuple[Valve, list[Effect]]) -> None:
        self.valve, self.last = result
        self.log += self.last
        self._check()
        failed = False
        for effect in self.last:
            if isinstance(effect, SetCoil):
                failed |= effect.coil in self.refusing
                self._set(effect)
            elif isinstance(effect, Remember):
                self.memory = effect.value
        if failed:
            self.fail_coil()
        self._tell_switches()

    def _set(self, command: SetCoil) -> None:
        if command.coil in self.refusing:
            return
        if command.energised:
            other = self._off_s.get(Coil.CLOSE if command.coil is Coil.OPEN else Coil.OPEN, 0.0)
            assert self.now_s - other >= self.spec.dead_time_s - 1e-6, "dead time between the directions"
            self.on.add(command.coil)
            self._on_since_s.setdefault(command.coil, self.now_s)
            self._pulled = 1 if command.coil is Coil.OPEN else -1
        elif command.coil in self.on:
            self.on.discard(command.coil)
            self._off_s[command.coil] = self.now_s
            self._on_since_s.pop(command.coil, None)
        assert len(self.on) < 2, "both coils are on"

    def _check(self) -> None:
        moves = [isinstance(effect, SetCoil) for effect in self.last]
        assert moves == sorted(moves, reverse=True), "outputs come first"
        if any(moves):
            follower = self.last[moves.index(False) if False in moves else -1]
            assert isinstance(follower, Record), "every output is journalled, at once"
        assert len(self.valve.coils) < 2

    def refuse(self, *coils: Coil) -> None:
        """Let only these lines fail; what got stuck on before has until the next try to be released."""
        self.refusing = set(coils)
        self._on_since_s = dict.fromkeys(self.on, self.now_s + LONGEST_WAIT_S)

    # --- the valve ----------------------------------------------------------------------------------

    @property
    def really(self) -> Position | None:
        """Where the valve is, whatever its switches say."""
        if self.opening >= 1 - NEAR:
            return Position.OPEN
        return Position.CLOSED if self.opening <= NEAR else None

    def made(self, end: Position) -> bool:
        return self.stuck.get(end, self.really is end)

    def turn_by_hand(self, opening: float) -> None:
        self.opening = opening
        self._tell_switches()

    def wait(self, duration_s: float) -> None:
        """Let time pass, stopping at every switch edge and deadline."""
        until_s = self.now_s + duration_s
        while self.now_s < until_s:
            due_s = machine.deadline_s(self.valve)
            edge_s = self._next_edge_s()
            next_s = min(t for t in (until_s, due_s, edge_s) if t is not None)
            self._advance(max(next_s, self.now_s))
            self._tell_switches()
            if due_s is not None and self.now_s >= due_s:
                self._do(machine.tick(self.valve, self.now_s))
        self._check_runs()

    def _velocity(self) -> float:
        if self.stalled:
            return 0.0
        if self.spec.kind is ValveKind.SPRING_RETURN:
            direction = 1 if Coil.OPEN in self.on else -1
        elif self.spec.kind is ValveKind.LATCHING:
            direction = self._pulled
        else:
            direction = (Coil.OPEN in self.on) - (Coil.CLOSE in self.on)
        if (direction > 0 and self.opening >= 1) or (direction < 0 and self.opening <= 0):
            return 0.0
        return direction / self.travel_s

    def _next_edge_s(self) -> float | None:
        velocity = self._velocity()
        if not velocity:
            return None
        edges = (0.0, NEAR, NEAR + 1e-6, 1 - NEAR - 1e-6, 1 - NEAR, 1.0)
        ahead = [(edge - self.opening) / velocity for edge in edges]
        return self.now_s + min((t for t in ahead if t > 1e-9), default=0.0) + 1e-9

    def _advance(self, to_s: float) -> None:
        self.opening = min(1.0, max(0.0, self.opening + self._velocity() * (to_s - self.now_s)))
        self.now_s = to_s
        self._check_runs()

    def _check_runs(self) -> None:
        for coil, since_s in self._on_since_s.items():
            if self.spec.kind is ValveKind.SPRING_RETURN or coil in self.refusing:
                continue
            bound_s = LONGEST_PULSE_S if self.spec.kind is ValveKind.LATCHING else self.spec.max_run_s
            assert self.now_s - since_s <= bound_s + 1e-6, f"{coil} is on for too long"

    def _tell_switches(self) -> None:
        for end in Position:
            if end.value in self.spec.end_switches and self.made(end) != (end in self.valve.made):
                self.switch(end, self.made(end))

    # --- what was said ------------------------------------------------------------------------------

    def said(self, kind: type[EffectT]) -> list[EffectT]:
        return [effect for effect in self.log if isinstance(effect, kind)]

    def coils_set(self) -> list[tuple[Coil, bool]]:
        return [(effect.coil, effect.energised) for effect in self.last if isinstance(effect, SetCoil)]

    def raised(self) -> list[str]:
        return [effect.kind for effect in self.said(Raise)]

    def active(self) -> set[str]:
        kinds: dict[str, bool] = {}
        for effect in self.log:
            if isinstance(effect, Raise | Clear):
                kinds[effect.kind] = isinstance(effect, Raise)
        return {kind for kind, on in kinds.items() if on}

    def states_published(self) -> list[Json]:
        return [effect.body["state"] for effect in self.said(Publish)]

    def refusals(self) -> list[Mapping[str, Json]]:
        return [effect.detail for effect in self.said(Record) if effect.kind == "valve.refused"]

    @property
    def state(self) -> ValveState:
        return self.valve.state
