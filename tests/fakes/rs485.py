"""An RS-485 line with leak detectors: a pty on which every device hears every request, as on two wires."""

import asyncio
import os
import struct
import tty
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pymodbus.framer import FramerRTU

_REQUEST_BYTES = 8
_TABLES = {3: "holding", 4: "input"}


def sealed(frame: bytes) -> bytes:
    """The frame with its CRC, as pymodbus reckons it."""
    return frame + FramerRTU.compute_CRC(frame).to_bytes(2, "big")


@dataclass
class Slave:
    """A device: the registers it has, and how it behaves.

    `garble` changes what it sends; `most` is how many registers it gives at once.
    """

    registers: dict[tuple[str, int], int] = field(default_factory=dict)
    delay_s: float = 0.0
    is_dead: bool = False
    most: int = 125
    garble: Callable[[bytes], bytes] = bytes
    asked: list[tuple[str, int, int]] = field(default_factory=list)

    def answer(self, unit: int, function: int, start: int, count: int) -> bytes:
        table = _TABLES.get(function)
        if table is None:
            return sealed(bytes((unit, function | 0x80, 1)))
        self.asked.append((table, start, count))
        if count > self.most:
            return sealed(bytes((unit, function | 0x80, 3)))
        wanted = [(table, start + i) for i in range(count)]
        if any(place not in self.registers for place in wanted):
            return sealed(bytes((unit, function | 0x80, 2)))
        values = struct.pack(f">{count}H", *(self.registers[place] for place in wanted))
        return sealed(bytes((unit, function, len(values))) + values)


def rope(*, leak: bool = False, cable_break: bool = False, distance: int = 0, feet: bool = False) -> Slave:
    """A controller as the RLE LD2000 has its first nine registers."""
    status = leak | cable_break << 1
    values = (status, distance, int(feet), 3, 100, 420, 421, 2800, 210)
    return Slave({("input", address): value for address, value in enumerate(values)})


class Rs485:
    """The line; `device` is what the gateway opens, and stays the same when it is plugged in again."""

    def __init__(self, folder: Path, slaves: dict[int, Slave]) -> None:
        self.device = folder / "ttyUSB0"
        self.slaves = slaves
        self._fds: tuple[int, int] | None = None
        self._heard = b""

    def plug(self) -> None:
        """The adapter is there."""
        master, slave = os.openpty()
        tty.setraw(slave)
        self._fds = master, slave
        self.device.unlink(missing_ok=True)
        self.device.symlink_to(os.ttyname(slave))
        asyncio.get_running_loop().add_reader(master, self._hear, master)

    def unplug(self) -> None:
        """The adapter is gone, and its device file with it."""
        if self._fds is None:
            return
        asyncio.get_running_loop().remove_reader(self._fds[0])
        self.device.unlink()
        for fd in self._fds:
            os.close(fd)
        self._fds = None

    def say(self, data: bytes) -> None:
        """Somebody sends this, or it is noise."""
        if self._fds is not None:
            os.write(self._fds[0], data)

    def _hear(self, master: int) -> None:
        self._heard += os.read(master, 1024)
        while len(self._heard) >= _REQUEST_BYTES:
            frame, rest = self._heard[:_REQUEST_BYTES], self._heard[_REQUEST_BYTES:]
            if sealed(frame[:-2]) != frame:
                self._heard = self._heard[1:]
                continue
            self._heard = rest
            self._asked(*struct.unpack(">BBHH", frame[:-2]))

    def _asked(self, unit: int, function: int, start: int, count: int) -> None:
        slave = self.slaves.get(unit)
        if slave is None or slave.is_dead:
            return
        answer = slave.garble(slave.answer(unit, function, start, count))
        asyncio.get_running_loop().call_later(slave.delay_s, self.say, answer)
