"""Converter chips as their data sheets describe them, at the level of the bytes on the bus."""

import errno
from dataclasses import dataclass, field

LOOSE = 0xFF
"""What SPI reads where no chip drives the line, with a pull-up."""


@dataclass
class Mcp3008Chip:
    """Shifts bits in and out as figure 6-1 of DS21295D shows; implements spidev.SpiDev.

    Attributes:
        ratios: Input by channel, as a part of VREF.
        is_there: Else nobody drives the line.
        stuck_code: What a frozen chip always gives.
        failures: So many transfers from now on fail with EIO.
    """

    ratios: list[float] = field(default_factory=lambda: [0.0] * 8)
    is_there: bool = True
    stuck_code: int | None = None
    failures: int = 0
    transfers: int = 0
    max_speed_hz: int = 125_000_000
    mode: int = 3
    path: str = ""

    def open(self, bus: int, device: int) -> None:
        self.path = f"/dev/spidev{bus}.{device}"

    def close(self) -> None:
        self.path = ""

    def xfer2(self, values: list[int]) -> list[int]:
        assert self.path, "the file is closed"
        assert self.mode == 0
        assert self.max_speed_hz <= 1_350_000, "the chip allows no more at 2.7 V"
        self.transfers += 1
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EIO, "Input/output error")
        if not self.is_there:
            return [LOOSE] * len(values)
        sent = [value >> place & 1 for value in values for place in range(7, -1, -1)]
        start = sent.index(1)
        single, *channel = sent[start + 1 : start + 5]
        code = self._code(single == 1, channel[0] << 2 | channel[1] << 1 | channel[2])
        # one sample clock and the null bit after the channel, then the code; before, the line floats
        answer = [1] * (start + 6) + [0] + [code >> place & 1 for place in range(9, -1, -1)]
        answer = (answer + [0] * len(sent))[: len(sent)]
        return [int("".join(map(str, answer[at : at + 8])), 2) for at in range(0, len(answer), 8)]

    def _code(self, single: bool, channel: int) -> int:
        if self.stuck_code is not None:
            return self.stuck_code
        ratio = self.ratios[channel]
        if not single:
            ratio -= self.ratios[channel ^ 1]
        return max(0, min(1023, int(ratio * 1024)))


@dataclass
class Ads1115Chip:
    """Registers and conversion time of SBAS444; implements smbus2.SMBus for one address.

    Attributes:
        volts: Input by channel, against ground.
        config: The config register; 0x8583 after power-on.
        now_s: The chip's time; `sleep` lets it pass.
        is_frozen: It says that it has converted, and has not.
        is_dead: It starts conversions that never end.
    """

    volts: list[float] = field(default_factory=lambda: [0.0] * 4)
    address: int = 0x48
    is_there: bool = True
    is_frozen: bool = False
    is_dead: bool = False
    failures: int = 0
    config: int = 0x8583
    conversion: int = 0
    conversions: int = 0
    now_s: float = 0.0
    slowness: float = 1.1
    is_open: bool = False
    _done_s: float = 0.0
    _pending: int | None = None

    def opened(self, path: str) -> "Ads1115Chip":
        assert path == "/dev/i2c-1"
        self.is_open = True
        return self

    def close(self) -> None:
        self.is_open = False

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def lose_power(self) -> None:
        self.config, self.conversion, self._pending = 0x8583, 0, None

    def write_word_data(self, address: int, register: int, value: int) -> None:
        self._transfer(address)
        assert register == 1, "nothing else is to be written"
        self.config = _swapped(value)
        if self.config & 0x8000 and self._settled():
            rate = (8, 16, 32, 64, 128, 250, 475, 860)[self.config >> 5 & 7]
            self._done_s = self.now_s + self.slowness / rate
            self._pending = self._measured()
            self.conversions += 1

    def read_word_data(self, address: int, register: int) -> int:
        self._transfer(address)
        is_ready = self._settled()
        if register == 0:
            return _swapped(self.conversion)
        assert register == 1
        return _swapped(self.config & 0x7FFF | is_ready << 15)

    def _transfer(self, address: int) -> None:
        assert self.is_open
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        if not self.is_there or address != self.address:
            raise OSError(errno.ENXIO, "No such device or address")

    def _settled(self) -> bool:
        if self._pending is None:
            return True
        if self.is_dead or self.now_s < self._done_s:
            return False
        if not self.is_frozen:
            self.conversion = self._pending
        self._pending = None
        return True

    def _measured(self) -> int:
        mux, scale_v = self.config >> 12 & 7, (6.144, 4.096, 2.048, 1.024)[self.config >> 9 & 7]
        assert mux >= 4, "only inputs against ground are used"
        assert self.config & 0x0100, "single shot"
        return max(-32768, min(32767, round(self.volts[mux - 4] / scale_v * 32768))) & 0xFFFF


def _swapped(word: int) -> int:
    return (word & 0xFF) << 8 | word >> 8
