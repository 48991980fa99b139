"""The far side of benchmarks.bluetooth: a model of bluetoothd and a street full of senders.

Arguments: adverts per second, how many, how many senders, of which the first SENSORS are leak sensors. Waits
until as many clients as named scan, then sends: each frame of a sensor carries the next packet id.
"""

import asyncio
import sys

from benchmarks.frames import OBJECTS
from tests.fakes.bluez import Adapter, BlueZ

SENSORS = 10
ADDRESSES = tuple(f"54:48:E6:8F:00:{number:02X}" for number in range(SENSORS))
END = "54:48:E6:8F:FF:FF"
"""Speaks once, when all is over."""


def frame(number: int) -> bytes:
    """Return a BTHome frame; the count objects carry the whole number, so that none can be mixed up."""
    return b"\x40\x3e" + number.to_bytes(4, "little") + OBJECTS


async def main() -> None:
    rate, adverts, senders, clients = (int(argument) for argument in sys.argv[1:])
    model = BlueZ(Adapter("hci0", "DC:A6:32:01:02:03"))
    await model.start()
    [adapter] = model.adapters.values()
    while len(adapter.discoverers) < clients:
        await asyncio.sleep(0.05)
    await asyncio.sleep(2.0)
    loop = asyncio.get_running_loop()
    begin_s = loop.time()
    for number in range(adverts):
        sender = number % senders
        address = (
            ADDRESSES[sender] if sender < SENSORS else f"11:22:33:44:{sender >> 8:02X}:{sender & 255:02X}"
        )
        model.advertise(address, {0xFCD2: frame(number)}, rssi_dbm=-60 - number // senders % 2 * 10)
        await asyncio.sleep(begin_s + (number + 1) / rate - loop.time())
    await asyncio.sleep(1.0)
    model.advertise(END, {0xFCD2: frame(adverts)})
    await asyncio.sleep(2.0)


if __name__ == "__main__":
    asyncio.run(main())
