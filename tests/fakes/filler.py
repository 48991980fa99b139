"""A gateway to kill: fills its store, drains it to standard output, and says what it was promised.

Each line is written at once: `safe <epoch> <seq> <channel>` when a message is durable, `sent ...` when it
leaves: the reader is the cloud and holds it from then on.
"""

import asyncio
import os
import random
import sys
from functools import partial
from pathlib import Path

from gateway.domain.model import Channel
from gateway.domain.ports import MessageId
from gateway.store.config import Config
from gateway.store.report import BootInfo
from gateway.store.store import Store


def _say(word: str, message: MessageId, channel: Channel) -> None:
    os.write(1, b"%s %d %d %d\n" % (word.encode(), *message, channel))


async def _fill(store: Store, rng: random.Random) -> None:
    while True:
        channel = rng.choice(list(Channel))
        encoded: list[MessageId] = []

        def encode(message: MessageId, keep: list[MessageId] = encoded) -> bytes:
            keep.append(message)
            return bytes(200)

        store.put(channel, encode, partial(_say_first, encoded, channel))
        await asyncio.sleep(rng.choice((0, 0, 0, 0.001)))


def _say_first(encoded: list[MessageId], channel: Channel) -> None:
    _say("safe", encoded[0], channel)


async def _drain(store: Store, rng: random.Random) -> None:
    while True:
        rows = await store.take(20)
        for row in rows:
            _say("sent", row.id, row.channel)
        await asyncio.sleep(rng.choice((0, 0.002)))
        store.published([row.id for row in rows])


async def _main(path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311  repeatable, not secret
    config = Config(path=path, receipts="broker", commit_after_s=0.05)
    store = await Store.open(config, BootInfo("boot"), lambda report: report.settle())
    async with asyncio.TaskGroup() as tasks:
        if seed >= 0:
            tasks.create_task(_fill(store, rng), name="fill")
        if seed < 0 or rng.random() < 0.7:
            tasks.create_task(_drain(store, rng), name="drain")


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
