"""Draining the outbox over mutual TLS, against bare aiomqtt with as many messages in flight.

Both publish 200-byte messages with QoS 1 to the same mosquitto, in turns. Then the reaction of the loop to an
edge on a pipe (written by another process) is taken: idle, draining at the default pace, and without limit.

python -m benchmarks.drain
"""

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import aiomqtt

from benchmarks.report import Row, at_least, show
from gateway.cli.demo import devca
from gateway.cli.demo.broker import Broker
from gateway.domain.events import Event, LinkChanged
from gateway.domain.model import Channel
from gateway.domain.ports import MessageId
from gateway.link import tls, wire
from gateway.link.config import Config
from gateway.link.host import Host
from gateway.link.link import Link
from tests.fakes.outbox import FastOutbox

GATEWAY = "bench"
PAYLOAD = b"x" * 200
TARGET_RATIO = 0.8
_EDGES = 400
_EDGE_EVERY_S = 0.002
_WRITER = """
import os, sys, time
for _ in range(int(sys.argv[2])):
    time.sleep(float(sys.argv[3]))
    os.write(int(sys.argv[1]), time.monotonic_ns().to_bytes(8, "little"))
"""


class Bench:
    """One broker and the two ways to send to it."""

    def __init__(self, config: Config) -> None:
        self._config = config

    async def bare(self, count: int) -> float:
        """Return messages per second of aiomqtt with `in_flight` workers."""
        left = iter(range(count))
        async with aiomqtt.Client(
            self._config.host or "localhost",
            self._config.port,
            identifier=GATEWAY,
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=tls.context(self._config),
        ) as client:
            client.pending_calls_threshold = self._config.in_flight

            async def work() -> None:
                for _ in left:
                    await client.publish(wire.up_topic(GATEWAY, Channel.TELE), PAYLOAD, qos=1)

            began_s = time.perf_counter()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._config.in_flight):
                    tasks.create_task(work())
            return count / (time.perf_counter() - began_s)

    async def ours(self, count: int) -> float:
        """Return messages per second of the link."""
        async with self.link(replay_per_s=0.0) as outbox:
            done = outbox.expect(count)
            began_s = time.perf_counter()
            outbox.fill(count)
            await done.wait()
            return count / (time.perf_counter() - began_s)

    @contextlib.asynccontextmanager
    async def link(self, replay_per_s: float) -> AsyncIterator["CountingOutbox"]:
        """Run a link with an empty outbox; on entry it is connected."""
        outbox, connected = CountingOutbox(), asyncio.Event()

        def emit(event: Event) -> None:
            if isinstance(event, LinkChanged) and event.up:
                connected.set()

        host = Host(
            origin=wire.Origin(GATEWAY, "boot", 1),
            outbox=outbox,
            snapshot=dict,
            emit=emit,
            execute=lambda _: None,
            now=lambda: wire.Stamp(time.monotonic(), time.time(), True),
            credentials=tls.Files(self._config),
        )
        async with asyncio.TaskGroup() as tasks:
            link = Link(replace(self._config, replay_per_s=replay_per_s), host)
            running = tasks.create_task(link.run())
            await connected.wait()
            yield outbox
            running.cancel()

    async def reaction_us(self) -> list[float]:
        """Return how long each edge on a pipe waited for its callback, in microseconds."""
        reader, writer = os.pipe()
        taken: list[float] = []
        all_taken = asyncio.Event()

        def on_edge() -> None:
            edge_ns = int.from_bytes(os.read(reader, 8), "little")
            taken.append((time.monotonic_ns() - edge_ns) / 1000)
            if len(taken) == _EDGES:
                all_taken.set()

        loop = asyncio.get_running_loop()
        loop.add_reader(reader, on_edge)
        command = [sys.executable, "-c", _WRITER, str(writer), str(_EDGES), str(_EDGE_EVERY_S)]
        writing = await asyncio.create_subprocess_exec(*command, pass_fds=(writer,))
        await all_taken.wait()
        await writing.wait()
        loop.remove_reader(reader)
        os.close(reader)
        os.close(writer)
        return taken


class CountingOutbox(FastOutbox):
    """Tells when so many messages were acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self._open = 0
        self._done = asyncio.Event()

    def expect(self, count: int) -> asyncio.Event:
        """Return what is set after so many."""
        self._open, self._done = count, asyncio.Event()
        return self._done

    def fill(self, count: int) -> None:
        """Queue so many messages."""
        for _ in range(count):
            self.put(Channel.TELE, lambda _: PAYLOAD)

    def published(self, ids: Sequence[MessageId], /) -> None:
        """Count."""
        self._open -= len(ids)
        if self._open <= 0:
            self._done.set()


def _config(ca: devca.DevCa, broker: Broker, in_flight: int) -> Config:
    return Config(
        host=broker.host,
        port=broker.port,
        ca_file=ca.ca_file,
        cert_file=ca.cert_file(GATEWAY),
        key_file=ca.key_file(GATEWAY),
        command_key_file=ca.command_key_file,
        receipts="broker",
        in_flight=in_flight,
        replay_per_s=0.0,
    )


async def _reactions(bench: Bench) -> dict[str, list[float]]:
    found = {"idle": await bench.reaction_us()}
    for name, replay_per_s in (("draining, 200/s", 200.0), ("draining, no limit", 0.0)):
        async with bench.link(replay_per_s) as outbox:
            outbox.fill(200_000)
            found[name] = await bench.reaction_us()
    return found


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(share * (len(values) - 1))]


async def _measure(passes: int, count: int, in_flight: int) -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        ca = devca.ensure(Path(name) / "ca", GATEWAY)
        with Broker(ca, Path(name) / "broker") as broker:
            bench = Bench(_config(ca, broker, in_flight))
            bare, ours = [], []
            for _ in range(passes):
                bare.append(await bench.bare(count))
                ours.append(await bench.ours(count))
            reactions = await _reactions(bench)
    ratio = statistics.median(mine / other for mine, other in zip(ours, bare, strict=True))
    detail = (
        f"{statistics.median(ours):,.0f} / {statistics.median(bare):,.0f} messages/s, {in_flight} in flight"
    )
    rows = [at_least("drain over mTLS / bare aiomqtt", ratio, TARGET_RATIO, detail=detail)]
    for name, values in reactions.items():
        p99 = f"p99 {_percentile(values, 0.99):.0f} us"
        rows.append(Row(f"reaction of the loop, {name}", statistics.median(values), "us", detail=p99))
    return rows


def measure(passes: int = 5, count: int = 10_000, in_flight: int = 20) -> list[Row]:
    """Return the link's rows of the table."""
    return asyncio.run(_measure(passes, count, in_flight))


if __name__ == "__main__":
    show(measure())
