"""Valves on the lines: coils move them, end switches tell where they are, and they can break."""

import asyncio
from dataclasses import dataclass, field

from rig.lines import Lines
from rig.record import Record, Write

_REACH = 0.01  # so near to its end a valve holds the switch there
_BEYOND = 1e-4  # look just beyond the point where a switch changes


@dataclass(slots=True)
class _Valve:
    open_coil: int
    close_coil: int | None
    open_switch: int | None
    closed_switch: int | None
    travel_s: float
    active_level: int
    position: float
    """0 is closed, 1 is open."""
    at_s: float = 0.0
    speed: float = 0.0
    stuck_at: float | None = None
    switches_work: bool = True
    energised: set[int] = field(default_factory=set)
    both_s: list[float] = field(default_factory=list)
    """When both coils were energised at once."""
    timer: asyncio.TimerHandle | None = None


class Valves:
    """Every valve of the site. An end switch closes to ground when the valve has reached it."""

    def __init__(self, lines: Lines, record: Record) -> None:
        self._lines = lines
        self._valves: dict[str, _Valve] = {}
        record.listen(self._on_write)

    def install(  # noqa: PLR0917  # a request names them
        self,
        name: str,
        open_coil: int,
        travel_s: float,
        close_coil: int | None = None,
        open_switch: int | None = None,
        closed_switch: int | None = None,
        active_level: int = 1,
        position: float = 1.0,
    ) -> None:
        """Connect a valve: motorised if it has a coil for closing, else its spring closes it."""
        valve = _Valve(
            open_coil, close_coil, open_switch, closed_switch, travel_s, active_level, position, self._now()
        )
        self._valves[name] = valve
        for coil in _coils(valve):
            if self._lines.level(coil) == active_level:
                valve.energised.add(coil)
        self._turn(valve, self._now())

    def remove_all(self) -> None:
        """Take every valve away."""
        for valve in self._valves.values():
            if valve.timer:
                valve.timer.cancel()
        self._valves.clear()

    def break_(self, name: str, stuck_at: float | None = None, switches_work: bool = True) -> None:
        """Let it seize where it reaches a position, or its switches never close; without either mend it."""
        valve = self._valves[name]
        self._advance(valve, self._now())
        valve.stuck_at, valve.switches_work = stuck_at, switches_work
        self._turn(valve, self._now())

    def look(self, name: str) -> dict[str, object]:
        """Return position (0 closed, 1 open), how the motor runs, and each time both coils were on."""
        valve = self._valves[name]
        self._advance(valve, self._now())
        moves = {0.0: "still"}.get(valve.speed, "opening" if valve.speed > 0 else "closing")
        return {"position": valve.position, "moves": moves, "both_coils_s": list(valve.both_s)}

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()  # CLOCK_MONOTONIC, as in the record

    def _on_write(self, write: Write) -> None:
        for valve in self._valves.values():
            if write.line not in _coils(valve):
                continue
            self._advance(valve, write.at_s)
            is_on = write.direction == "out" and write.level == valve.active_level
            (valve.energised.add if is_on else valve.energised.discard)(write.line)
            if len(valve.energised) > 1:
                valve.both_s.append(write.at_s)
            self._turn(valve, write.at_s)

    def _advance(self, valve: _Valve, now_s: float) -> None:
        """Move it to where it is by now."""
        before = valve.position
        after = min(1.0, max(0.0, before + valve.speed * max(0.0, now_s - valve.at_s)))
        if valve.stuck_at is not None and min(before, after) <= valve.stuck_at <= max(before, after):
            after = valve.stuck_at
        valve.position, valve.at_s = after, max(now_s, valve.at_s)

    def _turn(self, valve: _Valve, now_s: float) -> None:
        """Let it run as its coils say, show where it is, and come back where a switch changes next."""
        valve.speed = _wanted(valve) / valve.travel_s
        self._show(valve)
        if valve.timer:
            valve.timer.cancel()
        ways = [(edge - valve.position) * _wanted(valve) for edge in (_REACH, 1.0 - _REACH)]
        ahead = [way for way in ways if way > 0]
        if ahead:
            after_s = (min(ahead) + _BEYOND) * valve.travel_s - (self._now() - now_s)
            valve.timer = asyncio.get_running_loop().call_later(max(0.0, after_s), self._arrive, valve)

    def _arrive(self, valve: _Valve) -> None:
        self._advance(valve, self._now())
        self._turn(valve, self._now())

    def _show(self, valve: _Valve) -> None:
        for switch, is_there in (
            (valve.open_switch, valve.position >= 1.0 - _REACH),
            (valve.closed_switch, valve.position <= _REACH),
        ):
            if switch is not None:
                self._lines.pull(switch, "low" if is_there and valve.switches_work else "open")


def _coils(valve: _Valve) -> tuple[int, ...]:
    return (valve.open_coil,) if valve.close_coil is None else (valve.open_coil, valve.close_coil)


def _wanted(valve: _Valve) -> int:
    """1 opens, -1 closes, 0 rests; with both coils energised the motor blocks."""
    is_opening = valve.open_coil in valve.energised
    if valve.close_coil is None:
        return 1 if is_opening else -1
    return int(is_opening) - int(valve.close_coil in valve.energised)
