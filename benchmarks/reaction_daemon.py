"""The whole daemon on a board of pipes, under load: the system under test of benchmarks/reaction.py.

The pipes stand for GPIO: a byte on the first is an edge of the leak contact ("1" wet, "0" dry), a byte on
the second is the valve line that was written. Adverts come in on a socket, as from the Bluetooth daemon.
"""

import asyncio
import itertools
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from gateway.app import board as boards
from gateway.app import daemon, gateway
from gateway.app.parts import Parts
from gateway.config.read import read
from gateway.domain.commands import Publish
from gateway.domain.model import Channel
from gateway.domain.ports import Advert, InputSpec, OutputLine

FILL = 10_000
SLICE = 20
"""Rows made in one turn of the loop: the load must not be what is measured."""

FILLER = Publish(Channel.TELE, "sensor", {"sensor_id": "filler", "text": "x" * 120})


class PipeBoard:
    """Implements ports.Board; `edges`, `lines` and `radio` are file descriptors."""

    def __init__(self, edges: int, lines: int, radio: int) -> None:
        self._edges, self._lines = edges, lines
        self._radio = socket.socket(fileno=radio)
        self._watchers: list[Callable[[bool], None]] = []
        self._listeners: dict[str, Callable[[Advert], None]] = {}
        self.heard = 0

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._edges, self._on_edge)
        loop.add_reader(self._radio, self._on_advert)

    async def run(self) -> None:
        await asyncio.Event().wait()

    def _on_edge(self) -> None:
        for byte in os.read(self._edges, 64):
            for on_level in self._watchers:
                on_level(byte == ord("1"))

    def _on_advert(self) -> None:
        frame = self._radio.recv(256)
        self.heard += 1
        address = frame[:17].decode()
        if on_advert := self._listeners.get(address):
            on_advert(Advert(address, service_data={0xFCD2: frame[17:]}))

    @contextmanager
    def watch(self, _spec: InputSpec, on_level: Callable[[bool], None]) -> Iterator[bool]:
        self._watchers.append(on_level)
        yield False

    @contextmanager
    def listen(self, address: str, on_advert: Callable[[Advert], None]) -> Iterator[None]:
        self._listeners[address] = on_advert
        yield

    def output(self, _line: str) -> OutputLine:
        return PipeLine(self._lines)


class PipeLine:
    """The valve's coil."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._level = True

    def level(self) -> bool:
        return self._level

    def set(self, level: bool, /) -> None:
        self._level = level
        os.write(self._fd, b"1" if level else b"0")


async def keep_full(app: gateway.Gateway, *, again: bool) -> None:
    """Queue telemetry: once, or again whenever most of it has left."""
    while True:
        for _ in range(FILL // SLICE):
            for _ in range(SLICE):
                app._messages.publish(FILLER)  # noqa: SLF001 - the load comes in where the core's messages do
                await asyncio.sleep(0)
            await asyncio.sleep(0.005)
        while not again or queued(app) > FILL // 10:
            await asyncio.sleep(0.2)


async def promise(app: gateway.Gateway, promises: int) -> None:
    """Queue messages of all priorities without end, and say of each when it is durable: "epoch seq"."""
    origin = app._messages.origin  # noqa: SLF001
    for number in itertools.count(1):
        channel = (Channel.TELE, Channel.TELE, Channel.EVENT, Channel.TELE, Channel.ALARM)[number % 5]
        said = f"{origin.epoch} {number} {int(channel)}\n".encode()
        publish = Publish(channel, "filler", {"number": number})
        app._messages.publish(publish, partial(_say, promises, said))  # noqa: SLF001
        await asyncio.sleep(0.001)


def _say(promises: int, said: bytes) -> None:
    os.write(promises, said)


def queued(app: gateway.Gateway) -> int:
    """Return how many rows wait."""
    waiting = app._store.stats()["queued"]  # noqa: SLF001
    return sum(v for v in waiting.values() if isinstance(v, int)) if isinstance(waiting, dict) else 0


def main() -> int:
    """Run the daemon.

    Arguments: configuration, three descriptors, then "calm", "once", "always", or "promise" and a descriptor.
    """
    config = read(Path(sys.argv[1]))
    board = PipeBoard(*(int(argument) for argument in sys.argv[2:5]))
    vars(boards)["SimBoard"] = lambda _config: board
    load = sys.argv[5]
    start = gateway.Gateway._start  # noqa: SLF001

    async def start_loaded(self: gateway.Gateway, parts: Parts) -> None:
        await start(self, parts)
        if load == "promise":
            parts.start("load", partial(promise, self, int(sys.argv[6])))
        elif load != "calm":
            parts.start("load", partial(keep_full, self, again=load == "always"))

    gateway.Gateway._start = start_loaded  # type: ignore[method-assign]  # noqa: SLF001
    return daemon.run(config)


if __name__ == "__main__":
    raise SystemExit(main())
