"""MCP3008: 8 inputs, 10 bits, SPI (Microchip DS21295D).

    to the chip     0000 0001 | S D2 D1 D0 0000 | 0000 0000     S: single-ended, or the difference of a pair
    from the chip   ???? ???? | ???? ?0 B9 B8   | B7 ... B0     the null bit before B9 is always 0

The code is 1024 * input / VREF (section 4.1 there). With VREF at the supply of the pull-up resistors the
ratio depends on nothing else. SPI has no acknowledgement: a missing chip is known by its null bit where the
line floats or is pulled high; where it is held low every input reads 0, which a loop calls a short.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, cast

from gateway.domain.ports import Failure
from gateway.drivers.adc.chip import FROZEN, load, told_as_driver_error
from gateway.drivers.adc.config import Config
from gateway.errors import DriverError

CLOCK_HZ = 100_000
"""Slow on purpose: the sampling capacitor charges through the loop's kilo-ohms (figure 4-2 there)."""

NOISE_CODES = 4
"""A difference of the same two inputs is not larger than this in both directions."""

_START, _SINGLE_ENDED, _NULL_BIT = 1, 0x80, 0x04
_CODES = 1024


class Spi(Protocol):
    """What is used of spidev.SpiDev."""

    max_speed_hz: int
    mode: int

    def open(self, bus: int, device: int, /) -> None:
        """Open /dev/spidev<bus>.<device>."""

    def xfer2(self, values: list[int], /) -> Sequence[int]:
        """Send bytes and return those that came meanwhile, under one chip select."""

    def close(self) -> None:
        """Close the file."""


class Mcp3008:
    """Implements `chip.Chip`.

    Args:
        config: Of kind "mcp3008".
        new_spi: Makes the bus object.
    """

    def __init__(self, config: Config, new_spi: Callable[[], Spi] | None = None) -> None:
        self._place = f"mcp3008 at {config.device}"
        self._bus, self._select = config.spi or (0, 0)
        self._new_spi = new_spi
        self._spi: Spi | None = None

    def open(self) -> None:
        """See chip.Chip."""
        spi = cast("Spi", (self._new_spi or load("spidev").SpiDev)())
        with told_as_driver_error(self._place):
            spi.open(self._bus, self._select)
            spi.max_speed_hz = CLOCK_HZ
            spi.mode = 0
        self._spi = spi

    def close(self) -> None:
        """See chip.Chip."""
        if self._spi is not None:
            self._spi.close()
            self._spi = None

    def ratio(self, channel: int, /) -> float | Failure:
        """See chip.Chip."""
        return self._code(_SINGLE_ENDED | channel << 4) / _CODES

    def check(self, channel: int, /) -> None:
        """See chip.Chip: of the differences a - b and b - a, one is negative, for which the chip gives 0."""
        forward = self._code(channel << 4)
        backward = self._code((channel ^ 1) << 4)
        if min(forward, backward) > NOISE_CODES:
            raise DriverError(
                f"{self._place}: gives {forward} and {backward} for a difference and its opposite; {FROZEN}"
            )

    def _code(self, select: int) -> int:
        if self._spi is None:
            raise DriverError(f"{self._place}: is closed")
        with told_as_driver_error(self._place):
            answer = self._spi.xfer2([_START, select, 0])
        if len(answer) != 3 or answer[1] & _NULL_BIT:  # noqa: PLR2004  # as many as were sent
            raise DriverError(
                f"{self._place}: no chip answers there: check its power, wiring and chip select"
            )
        return (answer[1] & 3) << 8 | answer[2]
