"""Keys of `[serial.<id>]`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.errors import ConfigError

MOST_TIMEOUT_S = 0.5
"""What a device that does not answer may cost the others of its bus in one round."""

_LEAST_BAUD, _MOST_BAUD = 1200, 115_200
_LEAST_TIMEOUT_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A serial port with Modbus devices.

    Args:
        device: Device file of the port; one below /dev/serial/by-id stays the same after plugging.
        baud: Bits per second.
        parity: As at all devices of the port.
        stop_bits: 1 or 2.
        timeout_s: A device that has not begun to answer by then is not there.
    """

    device: Path
    baud: int = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: int = 1
    timeout_s: float = 0.2

    def __post_init__(self) -> None:
        problems = []
        if not _LEAST_BAUD <= self.baud <= _MOST_BAUD:
            problems.append(("baud", f"{self.baud}; allowed: {_LEAST_BAUD} to {_MOST_BAUD}"))
        if self.stop_bits not in (1, 2):
            problems.append(("stop_bits", f"{self.stop_bits}; allowed: 1 or 2"))
        if not _LEAST_TIMEOUT_S <= self.timeout_s <= MOST_TIMEOUT_S:
            allowed = f"{_LEAST_TIMEOUT_S} to {MOST_TIMEOUT_S} seconds"
            problems.append(("timeout_s", f"{self.timeout_s}; allowed: {allowed}"))
        if problems:
            raise ConfigError(*problems)

    def wire_s(self, size_bytes: int) -> float:
        """Return how long this many bytes take on the line."""
        bits = 1 + 8 + (self.parity != "none") + self.stop_bits
        return size_bytes * bits / self.baud
