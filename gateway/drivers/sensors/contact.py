"""A dry contact on a line: a leak detector's relay, a float switch.

A cut wire looks like an open contact, so a normally open one is not supervised: nothing tells dry from cut.
A normally closed one reads wet when its wire is cut, which is the safe side.
"""

from asyncio import get_running_loop
from dataclasses import dataclass
from typing import Literal

from gateway.domain.events import SensorRead
from gateway.domain.model import Reading
from gateway.domain.ports import Board, Emit, InputSpec
from gateway.drivers.sensors import Sensor
from gateway.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Keys of `[sensor.<id>]` with kind = "contact".

    Args:
        line: The board's name for the line.
        normally: The contact while dry.
        bias: The line's pull resistor. "up" suits a contact to ground, where an earth fault reads closed;
            "down" one to 3.3 V; "none" an output that drives the line itself.
        closed_reads: Level of the line while the contact is closed; "auto" is against the bias: low with
            "up", else high.
        debounce_s: A new level must last this long, seconds.
    """

    line: str
    normally: Literal["open", "closed"] = "open"
    bias: Literal["up", "down", "none"] = "up"
    closed_reads: Literal["auto", "low", "high"] = "auto"
    debounce_s: float = 0.005

    def __post_init__(self) -> None:
        if not self.line:
            raise ConfigError(("line", 'empty; name a line of the board, e.g. "GPIO17"'))
        if not 0 <= self.debounce_s <= 1:
            raise ConfigError(("debounce_s", f"{self.debounce_s}; allowed: 0 to 1 second"))


def line_of(config: Config) -> InputSpec:
    """Return how to read the line so that it is true when wet."""
    closed_is_low = config.closed_reads == "low" or (config.closed_reads == "auto" and config.bias == "up")
    wet_is_closed = config.normally == "open"
    return InputSpec(config.line, closed_is_low is wet_is_closed, config.bias, config.debounce_s)


async def run(sensor_id: str, config: Config, board: Board, emit: Emit) -> None:
    """Emit the present level, then every change, until cancelled."""

    def on_level(wet: bool) -> None:
        emit(SensorRead(sensor_id, Reading("contact", wet=wet)))

    with board.watch(line_of(config), on_level) as wet:
        on_level(wet)
        await get_running_loop().create_future()


SENSOR = Sensor(config=Config, run=run)
