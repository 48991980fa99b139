"""A leak rope at a controller that speaks Modbus RTU over RS-485.

What the registers mean stands in a profile (gateway/drivers/modbus/profiles). Each answer is a sign of
life; a device that misses three in a row counts as faulty. Registers are only ever read: silencing or
resetting a controller is for a person in front of it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.domain.events import SensorFaulted, SensorRead
from gateway.domain.ports import Board, Emit, Failure, PollSpec, Register
from gateway.drivers.modbus import profile_file
from gateway.drivers.modbus.profile import FORMAT, decode, registers
from gateway.drivers.modbus.turns import AT_PACE
from gateway.drivers.sensors import Sensor
from gateway.errors import ConfigError

__all__ = ["FORMAT", "SENSOR", "Config", "decode", "run"]

SILENCE_S = 90.0
"""Three times as long as the longest pause between two questions to a device that was away."""

_LEAST_EVERY_S, _MOST_EVERY_S = 0.5, 60.0
_MOST_UNIT = 247


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Keys of `[sensor.<id>]` with kind = "modbus".

    Args:
        port: Id of the serial port: a table [serial.<id>].
        unit: The controller's Modbus address, 1 to 247.
        profile: What its registers mean: a name as in docs/hardware.md, or the absolute path of a file.
        zone: Zone, circuit or cable of a controller that has several; 0 if it has one.
        every_s: Pause between two questions.
    """

    port: str
    unit: int
    profile: str
    zone: int = 0
    every_s: float = 2.0

    def __post_init__(self) -> None:
        problems = []
        if not 1 <= self.unit <= _MOST_UNIT:
            problems.append(("unit", f"{self.unit}; allowed: 1 to {_MOST_UNIT}"))
        if not _LEAST_EVERY_S <= self.every_s <= _MOST_EVERY_S:
            allowed = f"{_LEAST_EVERY_S} to {_MOST_EVERY_S:g} seconds"
            problems.append(("every_s", f"{self.every_s}; allowed: {allowed}"))
        try:
            problem = profile_file.wrong_zone(profile_file.load(self.profile), self.zone)
        except ConfigError as error:
            problems += [("profile", f"{key}: {text}") for key, text in error.problems]
        else:
            problems += [("zone", problem)] if problem else []
        if problems:
            raise ConfigError(*problems)


async def run(sensor_id: str, config: Config, board: Board, emit: Emit) -> None:
    """Emit what each answer says until cancelled."""
    profile = await asyncio.to_thread(profile_file.load, config.profile)
    zone = config.zone or None
    misses = 0

    def on_answer(answer: Mapping[Register, int] | Failure) -> None:
        nonlocal misses
        if not isinstance(answer, Failure):
            misses = 0
            emit(SensorRead(sensor_id, decode(profile, answer, zone)))
            return
        misses += 1
        if misses == AT_PACE:
            emit(SensorFaulted(sensor_id, f"unit {config.unit} at {config.port}: {answer.problem}"))

    spec = PollSpec(config.port, config.unit, registers(profile, zone), config.every_s)
    with board.poll(spec, on_answer):
        await asyncio.get_running_loop().create_future()


SENSOR = Sensor(config=Config, run=run, supervised=True, default_silence_s=SILENCE_S)
