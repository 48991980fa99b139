"""The demo's cloud end, against a real broker, ends when it is told to."""

import asyncio
import contextlib

import aiomqtt
import pytest

from gateway.app import apart
from tests.fakes.broker import Broker, DevCa, needs_mosquitto
from tests.fakes.cloud import Cloud

pytestmark = [pytest.mark.broker, needs_mosquitto]


async def test_cloud_end_ends_even_if_a_receipt_is_confirmed_in_that_moment(
    broker: Broker, ca: DevCa, monkeypatch: pytest.MonkeyPatch
):
    """In that moment, asyncio.wait_for of Python 3.11, which aiomqtt uses, loses the cancellation."""
    monkeypatch.setattr(apart, "_TOLD_AGAIN_S", 0.05)
    under_way = asyncio.Event()

    async def publish(*_args: object, **_options: object) -> None:
        under_way.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(aiomqtt.Client, "publish", publish)
    cloud = Cloud(ca.cloud, broker.host, broker.port)
    running = asyncio.get_running_loop().create_task(cloud.run())
    await cloud.until(lambda cloud: cloud.connected)
    cloud._unconfirmed.add(("house-7", 1))
    await cloud._tell()
    await under_way.wait()
    running.cancel()

    await asyncio.wait([running], timeout=5)

    assert running.cancelled()
    assert not cloud.connected
