"""Commands from a cloud through a real broker."""

import contextlib
import json

import aiomqtt
import pytest

from gateway.domain.events import ValveRequested
from gateway.domain.model import Channel
from gateway.link import tls
from tests.fakes.broker import Broker, DevCa, needs_mosquitto
from tests.fakes.cloud import Cloud, background, running_cloud
from tests.link.conftest import Site, link_config, make_link

pytestmark = [pytest.mark.broker, needs_mosquitto]

CLOSE = {"valve": "main", "wish": "close"}


@pytest.fixture
async def cloud(site: Site, ca: DevCa, broker: Broker):
    async with running_cloud(ca, broker) as cloud, background(make_link(site, ca, broker).run()):
        await cloud.until(lambda c: any(a.message["body"].get("online") for a in c.arrivals))
        yield cloud


async def test_a_command_arrives_and_its_answers_come_back(site: Site, cloud: Cloud):
    command_id = await cloud.command("valve", CLOSE)
    await cloud.until(lambda c: c.answers(command_id))

    assert cloud.answers(command_id) == [("received", "")]
    (event,) = site.requests
    assert isinstance(event, ValveRequested)
    assert event.request.command_id == command_id


async def test_ping_is_answered(cloud: Cloud):
    command_id = await cloud.command("ping", {})
    await cloud.until(lambda c: len(c.answers(command_id)) == 2)

    assert cloud.answers(command_id) == [("received", ""), ("succeeded", "")]


async def test_garbage_harms_nothing(site: Site, cloud: Cloud):
    for payload in (b"", b"\x00" * 1000, b"{}", b"a.b.c", b"x" * 15_000):
        await cloud.send("valve", payload)
        await cloud.send("no/such/kind", payload)
        await cloud.send("receipt", payload)
    command_id = await cloud.command("ping", {})
    await cloud.until(lambda c: len(c.answers(command_id)) == 2)

    assert site.requests == []


async def test_a_command_of_an_unknown_version_is_refused_with_an_answer_that_says_so(cloud: Cloud):
    command_id = await cloud.command("valve", CLOSE, v=2)
    await cloud.until(lambda c: c.answers(command_id))

    assert cloud.answers(command_id) == [("rejected", "unsupported_version")]


async def test_a_forged_receipt_deletes_nothing(site: Site, cloud: Cloud):
    cloud.receipts = False
    site.tell(3, Channel.ALARM)
    await cloud.until(lambda c: len(c.held) >= 3)
    forged = {"v": 1, "gateway": "house-7", "epoch": 1, "through": 1000, "also": []}
    await cloud.send("receipt", json.dumps(forged).encode())
    command_id = await cloud.command("ping", {})
    await cloud.until(lambda c: len(c.answers(command_id)) == 2)

    assert len(site.outbox.rows) >= 3


async def test_a_flood_of_commands_does_not_keep_messages_from_leaving(site: Site, cloud: Cloud):
    for _ in range(200):
        await cloud.send("valve", b"garbage")
    site.tell(20, Channel.ALARM)
    await cloud.until(lambda c: sum(m["kind"] == "alarm" for m in c.held.values()) == 20, timeout_s=5)


async def test_another_gateway_can_neither_read_nor_write_the_topics_of_this_one(
    site: Site, cloud: Cloud, ca: DevCa, broker: Broker
):
    ca.issue("house-8")
    pair = {"cert_file": ca.cert_file("house-8"), "key_file": ca.key_file("house-8")}
    stranger = {"identifier": "house-8", "tls_context": tls.context(link_config(ca, broker, **pair))}
    async with aiomqtt.Client(broker.host, broker.port, **stranger) as spy:
        await spy.subscribe("reed/v1/house-7/cmd/#")
        command_id = await cloud.command("ping", {})
        await cloud.until(lambda c: len(c.answers(command_id)) == 2)
        heard = len(spy.messages)
    with contextlib.suppress(aiomqtt.MqttError):  # mosquitto may throw it out
        async with aiomqtt.Client(broker.host, broker.port, **stranger) as forger:
            await forger.publish("reed/v1/house-7/up/alarm", b"forged", qos=1)
    command_id = await cloud.command("ping", {})
    await cloud.until(lambda c: len(c.answers(command_id)) == 2)

    assert (heard, cloud.unreadable) == (0, 0)
