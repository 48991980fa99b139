"""The model of bluetoothd in a process of its own, for commands that run a loop of their own.

Reads one JSON object a line, {"address": …, "service": {"fcd2": hex}, "company": {"0969": hex}, "name": …},
and puts each on the air five times a second from then on; a new line for an address replaces what it says.
With `--off`, its adapter is switched off.
"""

import asyncio
import json
import os
import sys

from tests.fakes.bluez import Adapter, BlueZ


async def main() -> None:
    model = BlueZ(Adapter("hci0", "DC:A6:32:01:02:03", powered="--off" not in sys.argv))
    await model.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    senders: dict[str, dict] = {}

    unread = bytearray()

    def take() -> None:
        unread.extend(os.read(sys.stdin.fileno(), 65536))
        while b"\n" in unread:
            line, _, rest = unread.partition(b"\n")
            unread[:] = rest
            told = json.loads(line)
            senders[told["address"]] = told

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), take)
    while True:
        for told in senders.values():
            data = [
                {int(key, 16): bytes.fromhex(text) for key, text in told.get(kind, {}).items()}
                for kind in ("service", "company")
            ]
            model.advertise(told["address"], *data, name=told.get("name", ""))
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(main())
