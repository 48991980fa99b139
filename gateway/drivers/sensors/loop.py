"""A contact at the end of a supervised loop: two resistors tell dry, wet, cut and shorted apart.

    supply --[pull_up]--+-- to the converter
                        |
                        +--wire--[series]--+--- contact ---+--wire-- ground
                                           +--[parallel]---+

    contact open      series + parallel          shorted      next to nothing
    contact closed    series                     cut          next to infinity

The defaults are the values of Rosslare's AC-825IP manual (2.2 kOhm, 8.2 kOhm). Anything else, such as a
corroded contact or a wrong resistor, is trouble, never dry (gateway/drivers/eol.py).

Wet is told with the second wet sample among the last four: after 2 * every_s at most (0.5 s by default),
and so is a contact that chatters. Everything else needs four samples in a row, so that a change that passes
through a gap is no trouble. A loop that settles on nothing is trouble itself.
"""

from asyncio import get_running_loop
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from gateway.domain.events import SensorFaulted, SensorRead
from gateway.domain.model import Reading
from gateway.domain.ports import AnalogSpec, Board, Emit, Failure
from gateway.drivers.eol import Band, Circuit, Verdict, bands, gap_of, ohm_of, too_near, verdict_on
from gateway.drivers.sensors import Sensor
from gateway.errors import ConfigError

FORMAT = "loop"
SILENCE_S = 180.0
SIGN_OF_LIFE_S = 30.0

WET_SAMPLES, AGREEING_SAMPLES, UNSETTLED_SAMPLES = 2, 4, 20

_MOST_TOLERANCE_PERCENT = 20.0
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Keys of `[sensor.<id>]` with kind = "loop".

    Args:
        adc: Id of the converter: `[adc.<id>]`.
        channel: Input of the converter, from 0.
        normally: The contact while dry.
        pull_up_ohm: Resistor from the supply to the input.
        series_ohm: Resistor in line with the contact, at the detector.
        parallel_ohm: Resistor across the contact, at the detector.
        wire_ohm: At most this much is added by the wire, there and back.
        tolerance_percent: Of all resistors, with temperature and age; at most 20.
        every_s: Pause between two samples, 0.02 to 5; wet is told after twice this at most.
    """

    adc: str
    channel: int
    normally: Literal["open", "closed"] = "open"
    pull_up_ohm: float = 4700.0
    series_ohm: float = 2200.0
    parallel_ohm: float = 8200.0
    wire_ohm: float = 100.0
    tolerance_percent: float = 5.0
    every_s: float = 0.25

    def __post_init__(self) -> None:
        wrong = [
            (key, "more than 0", getattr(self, key) <= 0)
            for key in ("pull_up_ohm", "series_ohm", "parallel_ohm")
        ]
        wrong += [
            ("channel", "0 or more", self.channel < 0),
            ("wire_ohm", f"0 to series_ohm = {self.series_ohm:g}", not 0 <= self.wire_ohm <= self.series_ohm),
            (
                "tolerance_percent",
                f"0 to {_MOST_TOLERANCE_PERCENT:g}",
                not 0 <= self.tolerance_percent <= _MOST_TOLERANCE_PERCENT,
            ),
            (
                "every_s",
                f"{_SHORTEST_PAUSE_S:g} to {_LONGEST_PAUSE_S:g} (seconds)",
                not _SHORTEST_PAUSE_S <= self.every_s <= _LONGEST_PAUSE_S,
            ),
        ]
        problems = [
            (key, f"{getattr(self, key):g} is not allowed; give {allowed}")
            for key, allowed, holds in wrong
            if holds
        ]
        if problems:
            raise ConfigError(*problems)
        _refuse_overlap(bands_of(self))


def bands_of(config: Config) -> tuple[Band, ...]:
    """Return what each ratio of input to supply means."""
    circuit = Circuit(
        pull_up_ohm=config.pull_up_ohm,
        closed_ohm=config.series_ohm,
        open_ohm=config.series_ohm + config.parallel_ohm,
        wire_ohm=config.wire_ohm,
        tolerance=config.tolerance_percent / 100,
    )
    return bands(circuit, wet_is_closed=config.normally == "open")


def _refuse_overlap(found: tuple[Band, ...]) -> None:
    near = too_near(found)
    if near is None:
        return
    read = " and ".join(f"{band.verdict} reads {band.low:.0%} to {band.high:.0%}" for band in near)
    advice = (
        "choose series_ohm and parallel_ohm further apart, a pull-up between them, or a smaller "
        "tolerance_percent or wire_ohm"
    )
    raise ConfigError(("pull_up_ohm", f"of the supply, {read}; that is too near: {advice}"))


@dataclass(slots=True)
class Confirmation:
    """Which verdict holds after the last samples; None until one is confirmed.

    Args:
        held: The verdict that was confirmed last.
        unsettled: Samples since then.
    """

    held: Verdict | None = None
    unsettled: int = 0
    _last: deque[Verdict] = field(default_factory=lambda: deque(maxlen=AGREEING_SAMPLES))

    def add(self, verdict: Verdict) -> bool:
        """Take the verdict on a sample; return whether the last samples confirm `held`, old or new."""
        self._last.append(verdict)
        is_wet = self._last.count(Verdict.WET) >= WET_SAMPLES
        if not is_wet and self._last.count(verdict) < AGREEING_SAMPLES:
            self.unsettled += 1
            return False
        self.held, self.unsettled = Verdict.WET if is_wet else verdict, 0
        return True


class Listener:
    """Turns the samples of one loop into events."""

    def __init__(self, sensor_id: str, config: Config, emit: Emit) -> None:
        self._sensor_id = sensor_id
        self._config = config
        self._emit = emit
        self._bands = bands_of(config)
        self._confirmation = Confirmation()
        self._told = ""
        self._reading = Reading(FORMAT)
        self._quiet_samples = 0

    def on_sample(self, sample: float | Failure) -> None:
        """Take the next sample, or why there is none."""
        if isinstance(sample, Failure):
            self._fail(sample.problem)
            return
        self._quiet_samples += 1
        confirmation = self._confirmation
        if confirmation.add(verdict_on(sample, self._bands, confirmation.held)):
            self._say(str(confirmation.held), sample)
        elif confirmation.unsettled >= UNSETTLED_SAMPLES:
            self._say("unsettled", sample)

    def _fail(self, problem: str) -> None:
        self._confirmation = Confirmation()
        if problem != self._told:
            self._told = problem
            self._emit(SensorFaulted(self._sensor_id, problem))

    def _say(self, what: str, ratio: float) -> None:
        """Tell what is new at once, what is not as a sign of life; words stay the same while it lasts."""
        is_new = what != self._told
        if is_new or self._quiet_samples * self._config.every_s >= SIGN_OF_LIFE_S:
            self._told, self._quiet_samples = what, 0
            self._reading = self._reading_of(what, ratio) if is_new else self._reading
            self._emit(SensorRead(self._sensor_id, self._reading))

    def _reading_of(self, what: str, ratio: float) -> Reading:
        if what in (Verdict.DRY, Verdict.WET):
            return Reading(FORMAT, wet=what == Verdict.WET, fault="")
        return Reading(FORMAT, fault=self._fault(what, ratio))

    def _fault(self, what: str, ratio: float) -> str:
        if what != Verdict.BETWEEN:
            return f"loop {what}" + ("; look for a loose wire" if what == "unsettled" else "")
        below, above = gap_of(ratio, self._bands)
        kilohm = ohm_of(ratio, self._config.pull_up_ohm) / 1000
        return f"loop at {kilohm:.1f} kOhm: between {below} and {above}; corroded contact or a wrong resistor"


async def run(sensor_id: str, config: Config, board: Board, emit: Emit) -> None:
    """Emit what the loop says until cancelled. Raises DriverError."""
    listener = Listener(sensor_id, config, emit)
    with board.sample(AnalogSpec(config.adc, config.channel, config.every_s), listener.on_sample):
        await get_running_loop().create_future()


SENSOR = Sensor(config=Config, run=run, supervised=True, default_silence_s=SILENCE_S)
