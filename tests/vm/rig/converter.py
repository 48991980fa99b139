"""An ADS1115 on the I2C bus: a kernel module holds its registers, and this sets the voltage at each input.

It answers SMBus transfers (byte, word, block), not raw I2C messages, and converts in no time.
"""

import subprocess
from pathlib import Path

from smbus2 import SMBus

_MODULE = "i2c_ads1115"
_CONFIG = 0x01
_CONFIG_AT_RESET = 0x8583  # ADS1115 data sheet, 8.1.3, as the numbers below
_CONVERTED = 0x40  # the module's own: one word for each input and range
_RANGES_V = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256, 0.256, 0.256)
_PAIRS = ((0, 1), (0, 3), (1, 3), (2, 3), (0, None), (1, None), (2, None), (3, None))
_INPUTS = 4


class Converter:
    """One converter with four inputs, at 0 V at first."""

    def __init__(self) -> None:
        self._bus = -1
        self._address = 0
        self._inputs_v = [0.0] * _INPUTS

    def plug(self, address: int = 0x48) -> str:
        """Put it on the bus and return the bus's device file."""
        self.unplug()
        subprocess.run(["modprobe", _MODULE, f"chip_addr={address:#x}"], check=True)
        (name,) = [
            name
            for name in Path("/sys/class/i2c-dev").glob("i2c-*/name")
            if name.read_text().startswith("SMBus stub")
        ]
        self._bus, self._address = int(name.parent.name.removeprefix("i2c-")), address
        with SMBus(self._bus) as bus:
            bus.write_word_data(address, _CONFIG, _swapped(_CONFIG_AT_RESET))
        self._inputs_v = [0.0] * _INPUTS
        self.freeze(False)
        return f"/dev/i2c-{self._bus}"

    def unplug(self) -> None:
        """Take the whole bus away; the kernel refuses while a program has it open (see `silence`)."""
        if self._parameter().exists():
            self.silence(False)
        subprocess.run(["modprobe", "-r", _MODULE], check=False)

    def volt(self, channel: int, volts: float) -> None:
        """Put this voltage at an input, 0 to 3."""
        self._inputs_v[channel] = volts
        self.freeze(False)

    def freeze(self, frozen: bool = True) -> None:
        """Let it give the same code whatever it is asked for, or convert again."""
        with SMBus(self._bus) as bus:
            for number in range(len(_PAIRS) * len(_RANGES_V)):
                code = 12_345 if frozen else self._code(*divmod(number, len(_RANGES_V)))
                bus.write_word_data(self._address, _CONVERTED + number, _swapped(code & 0xFFFF))

    def silence(self, silent: bool = True) -> None:
        """Let it answer nothing on the bus any more (ENODEV), or answer again."""
        self._parameter().write_text("Y" if silent else "N")

    def config(self) -> int:
        """Return what the driver last asked for."""
        with SMBus(self._bus) as bus:
            return _swapped(bus.read_word_data(self._address, _CONFIG))

    def close(self) -> None:
        """Take the bus away."""
        self.unplug()

    def _code(self, pair: int, scale: int) -> int:
        plus, minus = _PAIRS[pair]
        volts = self._inputs_v[plus] - (self._inputs_v[minus] if minus is not None else 0.0)
        return max(-32768, min(32767, round(volts / _RANGES_V[scale] * 32768)))

    @staticmethod
    def _parameter() -> Path:
        return Path("/sys/module", _MODULE, "parameters/silent")


def _swapped(word: int) -> int:
    """The converter sends the high byte first, SMBus the low one."""
    return (word & 0xFF) << 8 | word >> 8
