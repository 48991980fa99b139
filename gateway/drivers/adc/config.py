"""Keys of `[adc.<id>]`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.errors import ConfigError

SAMPLES_PER_S = (8, 16, 32, 64, 128, 250, 475, 860)
CHANNELS = {"mcp3008": 8, "ads1115": 4}

_ADDRESSES = range(0x48, 0x4C)
_MOST_V = 5.5
_SPI_DEVICE = re.compile(r"/dev/spidev(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """An analogue-to-digital converter.

    Args:
        kind: The chip.
        device: Device file of its bus: "/dev/spidev0.0" for an mcp3008, "/dev/i2c-1" for an ads1115.
        address: ads1115: its address on the bus, 0x48 (72) to 0x4B.
        supply_v: Voltage at which the pull-up resistors end. An mcp3008 must have its VREF there.
        supply_channel: ads1115: input that is wired to that voltage; it is measured with each sample, and
            `supply_v` need not be exact.
        samples_per_s: ads1115: 8, 16, 32, 64, 128, 250, 475 or 860; fewer are quieter.
    """

    kind: Literal["mcp3008", "ads1115"]
    device: Path
    address: int = 0x48
    supply_v: float = 3.3
    supply_channel: int | None = None
    samples_per_s: int = 128

    def __post_init__(self) -> None:
        inputs = CHANNELS[self.kind]
        is_spi = self.kind == "mcp3008"
        wrong = [
            ("device", 'an mcp3008 needs one like "/dev/spidev0.0"', is_spi and not self.spi),
            ("address", "give 0x48, 0x49, 0x4A or 0x4B", self.address not in _ADDRESSES),
            ("supply_v", f"give more than 0, at most {_MOST_V:g} (volts)", not 0 < self.supply_v <= _MOST_V),
            (
                "supply_channel",
                "an mcp3008 has its VREF for that; remove it",
                is_spi and self.supply_channel is not None,
            ),
            (
                "supply_channel",
                f"give 0 to {inputs - 1}",
                not is_spi and self.supply_channel not in (None, *range(inputs)),
            ),
            (
                "samples_per_s",
                f"give {', '.join(map(str, SAMPLES_PER_S[:-1]))} or {SAMPLES_PER_S[-1]}",
                self.samples_per_s not in SAMPLES_PER_S,
            ),
        ]
        problems = [
            (key, f"{getattr(self, key)} is not allowed; {advice}") for key, advice, holds in wrong if holds
        ]
        if problems:
            raise ConfigError(*problems)

    @property
    def spi(self) -> tuple[int, int] | None:
        """Bus and chip select of an SPI device file, or None for another name."""
        found = _SPI_DEVICE.fullmatch(str(self.device))
        return (int(found[1]), int(found[2])) if found else None

    @property
    def place(self) -> str:
        """Where the chip is, in words; no other can be there."""
        return str(self.device) if self.kind == "mcp3008" else f"{self.device} at 0x{self.address:02X}"

    @property
    def free_channels(self) -> tuple[int, ...]:
        """Inputs for loops."""
        return tuple(at for at in range(CHANNELS[self.kind]) if at != self.supply_channel)
