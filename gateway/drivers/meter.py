"""A water meter's pulse output on a line: a reed contact, or an open-collector output of an electronic meter.

The default debounce suits both as Siemens' AEW310.2 pulse adapter specifies them: a reed contact bounces for
less than 1 ms and stays closed for 260 ms or more (below 2 Hz), an electronic output for 30 ms or more (up to
17 Hz, so it is open for 28 ms or more). Pulses while nobody watches the line are lost.
"""

from asyncio import get_running_loop
from dataclasses import dataclass
from typing import Literal

from gateway.domain.events import MeterPulsed
from gateway.domain.ports import Emit, InputSpec, Lines
from gateway.errors import ConfigError

SHORTEST_DEBOUNCE_S, LONGEST_DEBOUNCE_S = 0.002, 0.2
"""Longer than any bounce, so that one pulse is not many; shorter than the pulse of a reed contact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Keys of `[meter.<id>]` that name its line.

    Args:
        line: Input of the meter's pulse output.
        bias: Pull resistor. "up" suits a contact or open collector to ground.
        active_low: A closed contact reads low, as one to ground does.
        debounce_s: A new level must last this long. The default suits reed contacts and electronic outputs;
            0.05 is better for a reed contact on a long cable.
    """

    line: str
    bias: Literal["up", "down", "none"] = "up"
    active_low: bool = True
    debounce_s: float = 0.02

    def __post_init__(self) -> None:
        if not SHORTEST_DEBOUNCE_S <= self.debounce_s <= LONGEST_DEBOUNCE_S:
            allowed = f"allowed: {SHORTEST_DEBOUNCE_S:g} to {LONGEST_DEBOUNCE_S:g} seconds"
            raise ConfigError(("debounce_s", f"{self.debounce_s:g}; {allowed}"))


async def run(meter_id: str, config: Config, board: Lines, emit: Emit) -> None:
    """Emit a pulse for each closing of the contact, until cancelled.

    A contact that is closed at the start may have closed at any time before: it is not counted.

    Raises:
        DriverError: The line cannot be had.
    """
    was_closed = False

    def on_level(closed: bool) -> None:
        nonlocal was_closed
        # a board that came back may tell a level once more
        counts, was_closed = closed and not was_closed, closed
        if counts:
            emit(MeterPulsed(meter_id))

    spec = InputSpec(config.line, config.active_low, config.bias, config.debounce_s)
    with board.watch(spec, on_level) as is_closed:
        was_closed = is_closed
        await get_running_loop().create_future()
