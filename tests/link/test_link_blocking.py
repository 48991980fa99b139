"""What hangs on the way to the broker holds up neither the loop nor the end of the process."""

import asyncio
import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.demo.devca import DevCa
from gateway.errors import LinkError
from gateway.link.blocking import run_blocking
from gateway.link.mqtt import Client
from gateway.link.tls import Files
from tests.fakes.broker import Broker, needs_mosquitto
from tests.link.conftest import Site, link_config

# paho leaves the socket of a failed TLS handshake to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket")

ENDS_AT_ONCE = """
import asyncio, threading
from gateway.link.blocking import run_blocking

async def main():
    task = asyncio.create_task(run_blocking(threading.Event().wait))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

asyncio.run(main())
print("ended")
"""


@pytest.fixture(autouse=True)
def _no_garbage_for_later_tests() -> Iterator[None]:
    yield
    gc.collect()


async def test_result_and_exception_come_back():
    def fails() -> None:
        raise LookupError("nothing there")

    assert await run_blocking(lambda: 42) == 42
    with pytest.raises(LookupError, match="nothing there"):
        await run_blocking(fails)


async def test_the_end_of_abandoned_work_is_told_in_the_loop():
    release, told = threading.Event(), asyncio.Event()
    task = asyncio.get_running_loop().create_task(run_blocking(release.wait, if_late=told.set))
    await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()

    async with asyncio.timeout(10.0):
        await told.wait()


def test_work_that_never_ends_does_not_keep_the_process():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", ENDS_AT_ONCE],
        check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert (done.stdout, done.stderr) == ("ended\n", "")


@pytest.mark.broker
@needs_mosquitto
async def test_stop_while_a_broker_keeps_silent_is_immediate(site: Site, ca: DevCa, broker: Broker):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        config = link_config(ca, broker, port=silent.getsockname()[1], connect_timeout_s=5.0)
        access = Files(config).make()
        client = Client(config, access, site.host, ("t", b"will"), lambda _mid, _reason: None)
        task = asyncio.get_running_loop().create_task(client.open())
        loop = asyncio.get_running_loop()
        accepted, _ = await loop.sock_accept(silent)
        with accepted:
            began_s = loop.time()
            task.cancel()
            await asyncio.wait([task])
            took_s = loop.time() - began_s

    for thread in threading.enumerate():
        if thread.name == "link":
            await asyncio.to_thread(thread.join, 10.0)
    await asyncio.sleep(0)
    assert task.cancelled()
    assert took_s < 2.0


@pytest.mark.broker
@needs_mosquitto
async def test_a_connection_that_comes_when_nobody_waits_any_more_is_closed_and_begins_nothing(
    site: Site, ca: DevCa, broker: Broker, monkeypatch: pytest.MonkeyPatch
):
    """What it began might still stand there when the loop ends: asyncio complains, in the journal."""
    access = Files(link_config(ca, broker)).make()
    client = Client(link_config(ca, broker), access, site.host, ("t", b"will"), lambda _mid, _reason: None)
    begun, release = threading.Event(), threading.Event()
    connect, opened = client._client.connect, []

    def late(*words: object, **more: object) -> None:
        begun.set()
        release.wait(10.0)
        connect(*words, **more)
        opened.append(client._client.socket())

    monkeypatch.setattr(client._client, "connect", late)
    task = asyncio.get_running_loop().create_task(client.open())
    assert await asyncio.to_thread(begun.wait, 10.0)
    task.cancel()
    await asyncio.wait([task])
    before = asyncio.all_tasks()

    release.set()
    async with asyncio.timeout(10.0):
        while site.host.lane.stuck:
            await asyncio.sleep(0.01)
            assert asyncio.all_tasks() <= before

    assert opened[0].fileno() == -1
    assert client._misc_task is None


@pytest.mark.broker
@needs_mosquitto
@pytest.mark.parametrize("host", ["a..b", "x" * 64, "broker.invalid"])
async def test_name_that_leads_nowhere_is_a_link_error(site: Site, ca: DevCa, broker: Broker, host: str):
    config = link_config(ca, broker, host=host)
    access = Files(config).make()
    client = Client(config, access, site.host, ("t", b"will"), lambda _mid, _reason: None)

    with pytest.raises(LinkError, match=host.replace(".", r"\.")):
        await client.open()
