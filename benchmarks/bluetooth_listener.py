"""A process that listens for benchmarks.bluetooth; prints what it heard and what it cost.

Arguments: `ours`, `bleak`, or `floor RATE SECONDS`: an asyncio loop that is woken by a socket as often, reads
and does nothing else. Printed: distinct frames of the sensors, processor seconds, seconds, from the first
frame to the last.
"""

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.bluetooth_street import ADDRESSES, END
from gateway.app.apart import run_apart
from gateway.domain.ports import Advert
from gateway.drivers.ble.config import Config
from gateway.drivers.ble.radio import BleRadio
from gateway.drivers.sensors import load

if TYPE_CHECKING:
    from bleak.args.bluez import BlueZScannerArgs
    from bleak.backends.device import BLEDevice
    from bleak.backends.scanner import AdvertisementData

UUID = "0000fcd2-0000-1000-8000-00805f9b34fb"


def cpu_s() -> float:
    """Return what this process has cost so far."""
    times = os.times()
    return times.user + times.system


class Tally:
    """Counts frames; `over` when the street has ended."""

    def __init__(self) -> None:
        self.heard: set[bytes] = set()
        self.over = asyncio.Event()
        self._began: tuple[float, float] | None = None
        self._decode = load("bthome").decode

    def begin(self) -> None:
        """Start the clocks; imports and connecting are not what is measured."""
        self._began = (cpu_s(), time.monotonic())

    def count(self, address: str, frame: bytes) -> None:
        """Note a frame of a sensor."""
        if address == END:
            self.over.set()
            return
        assert self._decode is not None
        assert self._decode(Advert(address, {0xFCD2: frame}), None).wet is False
        self.heard.add(frame)

    def report(self) -> str:
        assert self._began is not None
        return f"{len(self.heard)} {cpu_s() - self._began[0]:.3f} {time.monotonic() - self._began[1]:.3f}"


async def ours(tally: Tally) -> None:
    """Listen as the gateway does."""
    radio = BleRadio(Config(scan="active"))
    [part] = radio.parts().values()

    def listener(address: str) -> Callable[[Advert], None]:
        return lambda advert: tally.count(address, advert.service_data[0xFCD2])

    async with asyncio.TaskGroup() as group:
        with contextlib.ExitStack() as listening:
            for address in (*ADDRESSES, END):
                listening.enter_context(radio.listen(address, listener(address)))
            task: asyncio.Task[None] = group.create_task(run_apart(part()))
            await asyncio.sleep(1.5)
            tally.begin()
            await tally.over.wait()
            print(tally.report())
        task.cancel()


async def bleak(tally: Tally) -> None:
    """Listen with bleak's own scanner; it hands over everybody, so the filter is here."""
    from bleak import BleakScanner  # noqa: PLC0415  ours does not pay for it

    sensors = {*ADDRESSES, END}

    def detected(device: "BLEDevice", data: "AdvertisementData") -> None:
        if device.address in sensors and UUID in data.service_data:
            tally.count(device.address, data.service_data[UUID])

    filters: BlueZScannerArgs = {"adapter": "hci0", "filters": {"DuplicateData": True}}
    async with BleakScanner(detected, bluez=filters):
        await asyncio.sleep(1.5)
        tally.begin()
        await tally.over.wait()
        print(tally.report())


async def floor(tally: Tally) -> None:
    """Be woken; what this costs, nobody who listens on this machine can save."""
    rate, seconds = (int(argument) for argument in sys.argv[2:])
    near, far = socket.socketpair()
    if os.fork() == 0:
        for _ in range(rate * seconds):
            time.sleep(1 / rate)  # noqa: ASYNC251  the child has no loop
            far.send(bytes(250))
        os._exit(0)
    far.close()
    near.setblocking(False)

    def read() -> None:
        if not near.recv(4096):
            tally.over.set()

    asyncio.get_running_loop().add_reader(near, read)
    tally.begin()
    await tally.over.wait()
    print(tally.report())


async def main() -> None:
    await {"ours": ours, "bleak": bleak, "floor": floor}[sys.argv[1]](Tally())


if __name__ == "__main__":
    asyncio.run(main())
