"""The link against a real mosquitto."""

import asyncio
import gc
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.cli.demo import devca
from gateway.cli.demo.broker import free_port
from gateway.domain.model import Channel
from gateway.domain.ports import MessageId
from gateway.link import tls
from tests.fakes.broker import Broker, DevCa, needs_mosquitto, running_broker
from tests.fakes.cloud import Cloud, background, running_cloud
from tests.fakes.outbox import MemoryOutbox
from tests.fakes.proxy import running_proxy
from tests.fakes.waiting import until
from tests.link.conftest import GATEWAY, Site, link_config, make_link

pytestmark = [
    pytest.mark.broker,
    needs_mosquitto,
    # paho leaves the socket of a failed TLS handshake to the garbage collector
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket"),
]


@pytest.fixture(autouse=True)
def _no_garbage_for_later_tests() -> Iterator[None]:
    yield
    gc.collect()


def kinds(cloud: Cloud) -> list[str]:
    return [arrival.message["kind"] for arrival in cloud.arrivals]


def statuses(cloud: Cloud) -> list[tuple[bool, str]]:
    bodies = [arrival.message["body"] for arrival in cloud.arrivals if arrival.message["kind"] == "status"]
    return [(body["online"], body["reason"]) for body in bodies]


async def test_everything_arrives_once_and_leaves_the_outbox_after_the_receipt(
    site: Site, ca: DevCa, broker: Broker
):
    site.tell(500)
    async with running_cloud(ca, broker) as cloud, background(make_link(site, ca, broker).run()):
        await until(lambda: not site.outbox.rows)

    assert [message["seq"] for message in cloud.held.values()] == list(range(1, 501))
    assert not cloud.copies
    assert site.link_changes == [True, False]


async def test_the_present_state_comes_first_then_alarms_then_the_backlog(
    site: Site, ca: DevCa, broker: Broker
):
    site.tell(30)
    site.tell(2, Channel.ALARM)
    async with running_cloud(ca, broker) as cloud, background(make_link(site, ca, broker).run()):
        await cloud.until(lambda c: len(c.held) == 32)

    assert kinds(cloud)[:4] == ["snapshot", "status", "alarm", "alarm"]
    assert cloud.arrivals[0].message["seq"] is None
    assert cloud.arrivals[0].message["body"]["state"] == "normal"


async def test_an_alarm_overtakes_a_paced_backlog(site: Site, ca: DevCa, broker: Broker):
    site.tell(1000)
    async with running_cloud(ca, broker) as cloud:
        link = make_link(site, ca, broker, replay_per_s=50.0)
        async with background(link.run()):
            await cloud.until(lambda c: len(c.held) >= 8)
            site.tell(1, Channel.ALARM)
            await cloud.until(lambda c: "alarm" in kinds(c), timeout_s=1.0)

        assert len(cloud.held) < 60


async def test_without_a_receipt_nothing_leaves_the_outbox(site: Site, ca: DevCa, broker: Broker):
    site.tell(10)
    async with (
        running_cloud(ca, broker, receipts=False) as cloud,
        background(make_link(site, ca, broker).run()),
    ):
        await cloud.until(lambda c: len(c.held) == 10)

    assert len(site.outbox.rows) == 10


async def test_receipts_from_the_broker_are_enough_if_so_configured(ca: DevCa, broker: Broker):
    site = Site(MemoryOutbox(receipts="broker"))
    site.tell(50)
    async with background(make_link(site, ca, broker, receipts="broker").run()):
        await until(lambda: not site.outbox.rows)


async def test_a_cloud_that_confirms_nothing_bounds_how_far_the_link_runs_ahead(
    site: Site, ca: DevCa, broker: Broker
):
    site.tell(40)
    async with (
        running_cloud(ca, broker, receipts=False) as cloud,
        background(make_link(site, ca, broker, unreceipted_max=10).run()),
    ):
        await cloud.until(lambda c: len(c.held) == 10)
        cloud.receipts = True
        site.tell(1, Channel.ALARM)
        await cloud._tell()
        await cloud.until(lambda c: len(c.held) == 41)
        await until(lambda: not site.outbox.rows)


async def test_what_the_cloud_does_not_confirm_in_time_is_sent_again(site: Site, ca: DevCa, broker: Broker):
    site.tell(5)
    async with (
        running_cloud(ca, broker, receipts=False) as cloud,
        background(make_link(site, ca, broker, receipt_timeout_s=1.0).run()),
    ):
        await cloud.until(lambda c: len(c.copies) == 5)

    assert len(cloud.held) == 5


async def test_a_clean_stop_says_goodbye_and_a_cut_is_announced_by_the_will(
    site: Site, ca: DevCa, broker: Broker
):
    async with running_cloud(ca, broker) as cloud:
        async with background(make_link(site, ca, broker).run()):
            await cloud.until(lambda c: (True, "connected") in statuses(c))
        await cloud.until(lambda c: (False, "stopped") in statuses(c))
        link = make_link(site, ca, broker)
        async with background(link.run()):
            await cloud.until(lambda c: statuses(c).count((True, "connected")) == 2)
            async with background(make_link(site, ca, broker).run()):  # takes the session over
                await cloud.until(lambda c: (False, "lost") in statuses(c))


async def test_a_broker_restarted_in_mid_drain_loses_nothing(folder: Path):
    site = Site(MemoryOutbox())
    with running_broker(folder, GATEWAY) as (broker, ca):
        async with running_cloud(ca, broker) as cloud:
            site.tell(2000)
            async with background(make_link(site, ca, broker).run()):
                for mark in (200, 900):
                    await cloud.until(lambda c, mark=mark: len(c.held) >= mark)
                    await asyncio.to_thread(broker.stop)
                    await asyncio.to_thread(broker.start)
                await until(lambda: not site.outbox.rows, 20)

    assert sorted(seq for _, _, seq in cloud.held) == list(range(1, 2001))
    assert site.link_changes == [True, False, True, False, True, False]


async def test_a_frozen_broker_is_given_up_and_found_again(folder: Path):
    site = Site(MemoryOutbox())
    with running_broker(folder, GATEWAY) as (broker, ca):
        async with (
            running_cloud(ca, broker) as cloud,
            background(make_link(site, ca, broker, ack_timeout_s=1.0).run()),
        ):
            await until(lambda: site.link_changes == [True])
            broker.pause()
            site.tell(5)
            await until(lambda: False in site.link_changes)
            broker.resume()
            await until(lambda: not site.outbox.rows, 20)

    assert sorted(seq for _, _, seq in cloud.held) == [1, 2, 3, 4, 5]


async def test_stopping_while_the_broker_is_frozen_does_not_take_long(folder: Path):
    site = Site(MemoryOutbox())
    with running_broker(folder, GATEWAY) as (broker, ca):
        async with background(make_link(site, ca, broker).run()):
            await until(lambda: site.link_changes == [True])
            broker.pause()
            started_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started_s < 4


async def test_a_broker_with_a_foreign_authority_is_refused_with_a_clear_line(
    site: Site, folder: Path, ca: DevCa, broker: Broker
):
    stranger = devca.ensure(folder / "stranger", GATEWAY)
    link = make_link(site, ca, broker, ca_file=stranger.ca_file)
    async with background(link.run()):
        await until(lambda: "certificate verify failed" in str(link.view(0)["detail"]))

    assert site.link_changes == []


async def test_a_certificate_that_expired_is_refused_by_the_broker_at_once(
    site: Site, ca: DevCa, broker: Broker
):
    past = datetime.now(UTC) - timedelta(days=2)
    ca.issue("expired", starts=past, ends=past + timedelta(days=1))
    link = make_link(site, ca, broker, cert_file=ca.cert_file("expired"), key_file=ca.key_file("expired"))
    async with background(link.run()):
        await until(lambda: "expired" in str(link.view(0)["detail"]), 1.5)


async def test_a_gateway_with_another_name_than_its_certificate_hears_why_it_is_refused(
    site: Site, ca: DevCa, broker: Broker
):
    ca.issue("other-house")
    changes = {"cert_file": ca.cert_file("other-house"), "key_file": ca.key_file("other-house")}
    site.tell(3)
    link = make_link(site, ca, broker, **changes)
    async with background(link.run()):
        await until(lambda: "Not authorized" in str(link.view(0)["detail"]))

    assert len(site.outbox.rows) == 3
    assert not site.outbox.poisoned


async def test_missing_and_mismatched_files_are_named(ca: DevCa, broker: Broker, folder: Path):
    missing = link_config(ca, broker, cert_file=folder / "none.pem")
    mismatch = link_config(ca, broker, key_file=ca.key_file("broker"))
    no_pem = link_config(ca, broker, ca_file=ca.key_file("broker"))

    for config, words in ((missing, "No such file"), (mismatch, "belong together"), (no_pem, "PEM")):
        with pytest.raises(tls.LinkError, match=words):
            tls.context(config)
    assert tls.context(link_config(ca, broker)).verify_mode is ssl.CERT_REQUIRED


async def test_a_message_larger_than_the_broker_takes_is_set_aside_and_the_rest_goes_on(folder: Path):
    site = Site(MemoryOutbox())
    with running_broker(folder, GATEWAY, extra="max_packet_size 4000\n") as (broker, ca):
        site.tell(3)
        site.say(Channel.ALARM, "alarm", {"detail": "x" * 5000})
        async with running_cloud(ca, broker) as cloud, background(make_link(site, ca, broker).run()):
            await until(lambda: not site.outbox.rows)

    assert list(site.outbox.poisoned) == [MessageId(1, 4)]
    assert len(cloud.held) == 3


async def test_a_message_that_the_broker_refuses_by_itself_is_set_aside(folder: Path):
    site = Site(MemoryOutbox())
    with running_broker(folder, GATEWAY, extra="message_size_limit 4000\n") as (broker, ca):
        site.tell(3)
        site.say(Channel.ALARM, "alarm", {"detail": "x" * 5000})
        async with running_cloud(ca, broker) as cloud, background(make_link(site, ca, broker).run()):
            await until(lambda: not site.outbox.rows)

    assert list(site.outbox.poisoned) == [MessageId(1, 4)]
    assert len(cloud.held) == 3


async def test_a_message_on_which_the_broker_dies_is_found_and_set_aside(folder: Path):
    site = Site(MemoryOutbox())
    with running_broker(folder, GATEWAY) as (broker, ca):
        async with running_proxy(broker.host, broker.port, chokes_at_bytes=20_000) as proxy:
            site.tell(30)
            site.say(Channel.ALARM, "alarm", {"detail": "x" * 50_000})
            async with running_cloud(ca, broker) as cloud:
                link = make_link(site, ca, broker, port=proxy.port)
                async with background(link.run()):
                    await until(lambda: not site.outbox.rows, 20)

    assert "ends the session" in site.outbox.poisoned[MessageId(1, 31)]
    assert len(cloud.held) == 30
    assert proxy.cuts == 5 + 1  # and one at the end


async def test_an_innocent_message_survives_a_cable_that_is_cut_again_and_again(
    site: Site, ca: DevCa, broker: Broker
):
    async with running_cloud(ca, broker) as cloud, running_proxy(broker.host, broker.port) as proxy:
        site.tell(300)
        async with background(make_link(site, ca, broker, port=proxy.port, replay_per_s=200.0).run()):
            for mark in range(30, 300, 40):
                await cloud.until(lambda c, mark=mark: len(c.held) >= mark)
                proxy.cut()
                proxy.restore()
            await until(lambda: not site.outbox.rows)

    assert not site.outbox.poisoned
    assert len(cloud.held) == 300
    assert sum(cloud.copies.values()) <= 7 * 20


async def test_a_missing_broker_is_met_with_growing_pauses_and_no_events(
    site: Site, ca: DevCa, broker: Broker, folder: Path
):
    link = make_link(site, ca, broker, port=free_port())
    async with background(link.run()):
        await until(lambda: link.view(0)["sessions"] >= 3)
        assert "refused" in str(link.view(0)["detail"])

    assert site.link_changes == []


async def test_a_stop_in_the_very_moment_in_which_the_session_breaks_is_a_stop(
    site: Site, ca: DevCa, broker: Broker
):
    async with running_proxy(broker.host, broker.port) as proxy:
        for _ in range(10):
            link = make_link(site, ca, broker, port=proxy.port)
            async with background(link.run()) as running:
                await until(lambda link=link: link.view(0)["state"] == "up")
                proxy.cut()
                while link.view(0)["state"] == "up":
                    running.cancel()
                    await asyncio.sleep(0)
                await asyncio.wait([running], timeout=3)
                assert running.cancelled()
            proxy.restore()
