"""Who is turned away for who it is, and who merely meets a broker in trouble."""

import asyncio
import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.cli.demo import devca
from gateway.cli.demo.broker import free_port
from gateway.domain.events import LinkChanged
from gateway.link.link import Link
from tests.fakes.broker import Broker, DevCa, needs_mosquitto
from tests.fakes.cloud import background
from tests.fakes.moody import Mood, moody_broker
from tests.fakes.waiting import until
from tests.link.conftest import Site, make_link

pytestmark = [
    pytest.mark.broker,
    needs_mosquitto,
    # ssl leaves a socket to the garbage collector if the other side has gone before the handshake
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket"),
]


@pytest.fixture(autouse=True)
def _no_garbage_for_later_tests() -> Iterator[None]:
    yield
    gc.collect()


def reasons(site: Site) -> list[str]:
    return [event.denied for event in site.events if isinstance(event, LinkChanged) and event.denied]


async def denied(site: Site, link: Link) -> str:
    async with background(link.run()):
        await until(lambda: link.view(0)["denied"])
    assert reasons(site) == [link.view(0)["denied"]]
    assert link.view(0)["state"] == "down"
    return reasons(site)[0]


async def merely_down(site: Site, link: Link, attempts: int = 3) -> None:
    async with background(link.run()):
        await until(lambda: link.view(0)["sessions"] > attempts)
    assert link.view(0)["denied"] == ""
    assert reasons(site) == []


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        (Mood(connack=0x86), "user name or password"),
        (Mood(connack=0x87), "Not authorized"),
        (Mood(connack=0x8A), "Banned"),
        (Mood(suback=0x87), "refuses the subscription"),
        (Mood(puback=0x87), "refuses what we publish"),
        (Mood(farewell=0x87), "does not let us in"),
    ],
)
async def test_every_way_to_say_that_we_may_not_is_a_denial(
    site: Site, ca: DevCa, broker: Broker, mood: Mood, words: str
):
    async with moody_broker(ca, mood) as moody:
        assert words in await denied(site, make_link(site, ca, broker, port=moody.port))


@pytest.mark.parametrize(
    "mood",
    [
        Mood(connack=None),
        Mood(connack=0x80),
        Mood(connack=0x88),
        Mood(connack=0x89),
        Mood(connack=0x9F),
        Mood(suback=0x80),
        Mood(suback=None),
        Mood(puback=None),
        Mood(puback=0x83),
        Mood(farewell=0x8B),
        Mood(farewell=0x8E),
        Mood(farewell=0x98),
    ],
)
async def test_a_broker_in_trouble_is_no_denial(site: Site, ca: DevCa, broker: Broker, mood: Mood):
    async with moody_broker(ca, mood) as moody:
        await merely_down(site, make_link(site, ca, broker, port=moody.port))


async def test_a_broker_that_is_not_there_is_no_denial(site: Site, ca: DevCa, broker: Broker):
    await merely_down(site, make_link(site, ca, broker, port=free_port()))


async def test_a_broker_that_we_do_not_trust_is_no_denial(
    site: Site, ca: DevCa, broker: Broker, folder: Path
):
    stranger = devca.ensure(folder / "stranger", ca.gateway_id)
    await merely_down(site, make_link(site, ca, broker, ca_file=stranger.ca_file))


async def test_something_else_on_the_brokers_port_is_no_denial(site: Site, ca: DevCa, broker: Broker):
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        await merely_down(site, make_link(site, ca, broker, port=server.sockets[0].getsockname()[1]))


async def test_a_certificate_of_another_authority_is_a_denial(
    site: Site, ca: DevCa, broker: Broker, folder: Path
):
    stranger = devca.ensure(folder / "stranger", ca.gateway_id)
    files = {"cert_file": stranger.cert_file(ca.gateway_id), "key_file": stranger.key_file(ca.gateway_id)}
    assert "does not know who issued" in await denied(site, make_link(site, ca, broker, **files))


async def test_an_expired_certificate_is_a_denial_that_renewing_may_end(
    site: Site, ca: DevCa, broker: Broker
):
    past = datetime.now(UTC) - timedelta(days=2)
    ca.issue("expired", starts=past, ends=past + timedelta(days=1))
    files = {"cert_file": ca.cert_file("expired"), "key_file": ca.key_file("expired")}
    assert "expired" in await denied(site, make_link(site, ca, broker, **files))


async def test_only_a_session_ends_a_denial_and_pauses_are_long_meanwhile(
    site: Site, ca: DevCa, broker: Broker
):
    async with moody_broker(ca, Mood(connack=0x87)) as moody:
        link = make_link(site, ca, broker, port=moody.port)
        async with background(link.run()):
            await until(lambda: moody.visits == 2)
            assert link._backoff.is_refused
            moody.mood = Mood(connack=0x88)
            await until(lambda: moody.visits == 4)
            assert link.view(0)["denied"]
            moody.mood = Mood()
            await until(lambda: link.is_up)
            assert link.view(0)["denied"] == ""

    assert len(reasons(site)) == 1
    assert site.link_changes[-2:] == [True, False]


async def test_a_denial_in_mid_session_is_told_at_once_and_loses_no_message(
    site: Site, ca: DevCa, broker: Broker
):
    async with moody_broker(ca, Mood()) as moody:
        link = make_link(site, ca, broker, port=moody.port)
        async with background(link.run()):
            await until(lambda: link.is_up)
            moody.mood = Mood(puback=0x87)
            for _ in range(6):
                site.tell(1)
                await until(lambda: not link.is_up)
                await asyncio.sleep(0.3)
            await until(lambda: link.view(0)["denied"])

    assert len(site.outbox.rows) == 6
    assert not site.outbox.poisoned


async def test_untrusted_clock_checks_everything_but_dates(
    site: Site, ca: DevCa, broker: Broker, folder: Path
):
    past = datetime.now(UTC) - timedelta(days=2)
    old = devca.ensure(folder / "old", ca.gateway_id)
    old.issue("broker", ["127.0.0.1"], starts=past, ends=past + timedelta(days=1))
    async with moody_broker(old, Mood()) as moody:
        files = {"ca_file": old.ca_file, "cert_file": old.cert_file(ca.gateway_id)}
        files |= {"key_file": old.key_file(ca.gateway_id)}
        link = make_link(site, ca, broker, port=moody.port, **files)
        async with background(link.run()):
            await until(lambda: "expired" in str(link.view(0)["detail"]))
            assert link.view(0)["denied"] == ""
            site.clock_trusted = False
            await until(lambda: link.is_up)
            assert link.view(0)["checks_time"] is False

        link = make_link(Site(site.outbox, clock_trusted=False), ca, broker, port=moody.port)
        async with background(link.run()):
            await until(lambda: "certificate verify failed" in str(link.view(0)["detail"]))
