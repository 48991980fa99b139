"""A valve as a piece of machinery: it moves while it is driven, stalls, is turned by hand, and breaks."""

from gateway.domain.model import Coil, Position
from gateway.domain.site import ValveKind
from gateway.sim.plan import Valve

ENDS = {Position.OPEN: 1.0, Position.CLOSED: 0.0}
NEAR = 1e-9

LATCH_S = 0.015
"""Shortest pulse that moves a latching valve; data sheets ask for 20 to 100 ms."""

BURN_S = 2.0
"""A latching coil draws amperes through a few ohms: it is made for pulses, not for this long."""


class Actuator:
    """One valve. `position` goes from 0.0 (shut) to 1.0 (open)."""

    def __init__(self, plan: Valve) -> None:
        self._plan = plan
        self.position = ENDS[plan.position]
        self.stalled = False
        self.burnt = False
        self.slowness = 1.0
        self.passing = 0.0
        energised = plan.kind is ValveKind.SPRING_RETURN and plan.position is Position.OPEN
        self._since_s: dict[Coil, float | None] = {Coil.OPEN: 0.0 if energised else None, Coil.CLOSE: None}
        self._latched = self.position

    def drive(self, coil: Coil, level: bool, now_s: float) -> str:
        """Energise or release a coil; return the damage that this does, or ""."""
        if level is (self._since_s[coil] is not None):
            return ""
        self._since_s[coil] = now_s if level else None
        both = None not in self._since_s.values()
        return "both coils driven together" if both else ""

    def turn(self, position: Position) -> None:
        """Turn it by hand, against any drive; a motor that is driven will turn it on from there."""
        self.position = self._latched = ENDS[position]

    @property
    def opening(self) -> float:
        """How far it is open for water: a worn seat passes some when it is shut."""
        return max(self.position, self.passing)

    @property
    def moving(self) -> bool:
        """It is on its way."""
        return abs(self._target() - self.position) > NEAR and not self._blocked

    @property
    def _blocked(self) -> bool:
        return self.stalled or self.burnt

    def at(self, end: Position) -> bool:
        """Its end switch at this end is made; it opens as soon as the valve sets off."""
        return self.position == ENDS[end] and not self.moving

    def next_in_s(self, now_s: float) -> float | None:
        """Return when it arrives or one of its coils has been on long enough to matter."""
        times = [self._travel_s() * abs(self._target() - self.position)] if self.moving else []
        if self._plan.kind is ValveKind.LATCHING and not self.burnt:
            on_for_s = [now_s - since_s for since_s in self._since_s.values() if since_s is not None]
            times += [limit - on for on in on_for_s for limit in (LATCH_S, BURN_S) if limit - on > NEAR]
        return min(times, default=None)

    def advance(self, duration_s: float, now_s: float) -> str:
        """Move for a while that ends now; return the damage that happened, or ""."""
        if self.moving:
            way = duration_s / self._travel_s()
            gap = self._target() - self.position
            self.position = (
                self._target() if abs(gap) <= way + NEAR else self.position + way * (1, -1)[gap < 0]
            )
        return self._pulse(now_s) if self._plan.kind is ValveKind.LATCHING else ""

    def _pulse(self, now_s: float) -> str:
        for coil, since_s in self._since_s.items():
            if since_s is None or self.burnt:
                continue
            if now_s - since_s >= LATCH_S - NEAR:
                self._latched = float(coil is Coil.OPEN)
            if now_s - since_s >= BURN_S - NEAR:
                self.burnt = True
                return f"{coil} coil burnt: energised for {BURN_S:g} s"
        return ""

    def _target(self) -> float:
        opening, closing = (self._since_s[coil] is not None for coil in (Coil.OPEN, Coil.CLOSE))
        match self._plan.kind:
            case ValveKind.SPRING_RETURN:
                return float(opening)
            case ValveKind.LATCHING:
                return self._latched
            case ValveKind.MOTORISED:
                return self.position if opening is closing else float(opening)

    def _travel_s(self) -> float:
        by_spring = self._plan.kind is ValveKind.SPRING_RETURN and self._target() == 0.0
        return (self._plan.spring_s if by_spring else self._plan.travel_s) * self.slowness
