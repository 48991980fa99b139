"""ADS1115: 4 inputs, 16 bits, I2C (Texas Instruments SBAS444).

    config register 1   OS | MUX, 3 | PGA, 3 | MODE | DR, 3 | comparator off, 00011
    conversion 0        two's complement of the full scale that PGA chose

Each sample is one single-shot conversion: writing OS = 1 starts it, OS reads 0 until it is done. The config
is read back with it, so that a chip that lost its power between the two is not taken at its word.

The chip measures volts against a reference of its own, so the supply of the pull-up resistors must be
known for a ratio: measured at an input (`supply_channel`), else as configured (`supply_v`).
"""

import time
from collections.abc import Callable
from typing import Protocol, cast

from gateway.domain.ports import Failure
from gateway.drivers.adc.chip import FROZEN, load, told_as_driver_error
from gateway.drivers.adc.config import SAMPLES_PER_S, Config
from gateway.errors import DriverError

CLOCK_TOLERANCE = 1.1
"""The chip's oscillator is within 10 % (section 7.5 there)."""

SUPPLY_TOLERANCE = 0.2
"""A measured supply that is further from `supply_v` is a wiring error."""

ABOVE_SUPPLY = 1.05
"""More than this of the supply comes from somewhere else: a foreign voltage on the loop."""

_CONVERSION, _CONFIG = 0, 1
_START_OR_READY, _SINGLE_SHOT, _COMPARATOR_OFF = 0x8000, 0x0100, 0x0003
_AGAINST_GROUND = 4
_RATE_BIT, _INPUT_BIT, _SCALE_BIT = 5, 12, 9
_WIDE_V, _NARROW_V = 6.144, 4.096
_SCALES = {_WIDE_V: 0, _NARROW_V: 1}
_FULL_CODE, _NEGATIVE_CODE = 32768, 0x8000
_POLLS = 20
_AGREE_V, _AGREE = 0.02, 0.05


class SMBus(Protocol):
    """What is used of smbus2.SMBus; words are little-endian there, big-endian in the chip."""

    def write_word_data(self, i2c_addr: int, register: int, value: int, /) -> None:
        """Write a register."""

    def read_word_data(self, i2c_addr: int, register: int, /) -> int:
        """Read a register."""

    def close(self) -> None:
        """Close the file."""


class Ads1115:
    """Implements `chip.Chip`.

    Args:
        config: Of kind "ads1115".
        open_bus: Opens the bus of a device file.
        sleep: Waits seconds.
    """

    def __init__(
        self,
        config: Config,
        open_bus: Callable[[str], SMBus] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._place = f"ads1115 at {config.device}, address 0x{config.address:02X}"
        self._open_bus = open_bus
        self._sleep = sleep
        self._bus: SMBus | None = None
        self._scale_v = _WIDE_V if config.supply_v * (1 + SUPPLY_TOLERANCE) > _NARROW_V else _NARROW_V

    def open(self) -> None:
        """See chip.Chip; the chip must answer."""
        open_bus = cast("Callable[[str], SMBus]", self._open_bus or load("smbus2").SMBus)
        with told_as_driver_error(self._place):
            self._bus = open_bus(str(self._config.device))
        self._read(_CONFIG)

    def close(self) -> None:
        """See chip.Chip."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def ratio(self, channel: int, /) -> float | Failure:
        """See chip.Chip."""
        ratio = self._volts(channel, self._scale_v) / self._supply_v()
        if ratio > ABOVE_SUPPLY:
            problem = f"input {channel} has {ratio:.2f} times the supply; a foreign voltage is on the wire"
            return Failure(f"{self._place}: {problem}")
        return min(1.0, max(0.0, ratio))

    def check(self, channel: int, /) -> None:
        """See chip.Chip: two full scales must give two codes for one voltage."""
        volts = self._volts(channel, self._scale_v)
        other_v = _NARROW_V if self._scale_v == _WIDE_V else _WIDE_V
        again = self._volts(channel, other_v)
        if abs(again - min(volts, other_v)) > _AGREE_V + _AGREE * volts:
            raise DriverError(
                f"{self._place}: reads {volts:.2f} V, then {again:.2f} V at another full scale; {FROZEN}"
            )

    def _supply_v(self) -> float:
        nominal_v, channel = self._config.supply_v, self._config.supply_channel
        if channel is None:
            return nominal_v
        supply_v = self._volts(channel, self._scale_v)
        if abs(supply_v - nominal_v) > SUPPLY_TOLERANCE * nominal_v:
            problem = f"the supply has {supply_v:.2f} V at input {channel} instead of {nominal_v:g} V"
            raise DriverError(f"{self._place}: {problem}")
        return supply_v

    def _volts(self, channel: int, scale_v: float) -> float:
        rate = SAMPLES_PER_S.index(self._config.samples_per_s)
        config = _SINGLE_SHOT | rate << _RATE_BIT | _COMPARATOR_OFF
        config |= (_AGAINST_GROUND | channel) << _INPUT_BIT | _SCALES[scale_v] << _SCALE_BIT
        self._write(_CONFIG, _START_OR_READY | config)
        self._wait_for(config)
        code = self._read(_CONVERSION)
        return (code - 2 * (code & _NEGATIVE_CODE)) * scale_v / _FULL_CODE

    def _wait_for(self, config: int) -> None:
        """Return when the chip has done the conversion that this config started."""
        conversion_s = CLOCK_TOLERANCE / self._config.samples_per_s
        self._sleep(conversion_s)
        for _ in range(_POLLS):
            state = self._read(_CONFIG)
            if state & ~_START_OR_READY != config:
                raise DriverError(
                    f"{self._place}: config 0x{config:04X} reads back as 0x{state:04X}; it is another chip, "
                    "or lost its power"
                )
            if state & _START_OR_READY:
                return
            self._sleep(conversion_s / 10)
        raise DriverError(f"{self._place}: a conversion does not end")

    def _write(self, register: int, value: int) -> None:
        with told_as_driver_error(self._place):
            self._connected().write_word_data(self._config.address, register, _swapped(value))

    def _read(self, register: int) -> int:
        with told_as_driver_error(self._place):
            return _swapped(self._connected().read_word_data(self._config.address, register))

    def _connected(self) -> SMBus:
        if self._bus is None:
            raise DriverError(f"{self._place}: is closed")
        return self._bus


def _swapped(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8
