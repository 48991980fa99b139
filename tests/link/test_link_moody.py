"""A broker that takes messages and never says so, and ends that come twice."""

import asyncio
import threading

import pytest

from gateway.domain.ports import MessageId
from gateway.link import blocking
from gateway.link.backoff import Backoff
from gateway.link.blocking import Lane
from tests.fakes.broker import Broker, DevCa, needs_mosquitto
from tests.fakes.cloud import background
from tests.fakes.moody import Mood, moody_broker
from tests.fakes.waiting import until
from tests.link.conftest import Site, make_link

pytestmark = [pytest.mark.broker, needs_mosquitto]


async def test_a_broker_that_never_acknowledges_the_present_state_is_given_up(
    site: Site, ca: DevCa, broker: Broker
):
    """One message at a time: the second part of the state waits for an acknowledgement, but not for ever."""
    async with moody_broker(ca, Mood(mute=True)) as moody:
        link = make_link(site, ca, broker, port=moody.port, ack_timeout_s=1.0)
        for _ in range(2):
            link._suspects.ended([MessageId(1, 1)])
        async with background(link.run()):
            await until(lambda: moody.visits == 2, 5.0)


async def test_a_session_stopped_twice_still_gives_back_what_it_had_and_closes_its_connection(
    site: Site, ca: DevCa, broker: Broker
):
    async with moody_broker(ca, Mood()) as moody:
        link = make_link(site, ca, broker, port=moody.port)
        running = asyncio.get_running_loop().create_task(link.run())
        await until(lambda: link.is_up)
        moody.mood = Mood(mute=True)
        site.tell(1)
        await until(lambda: not site.outbox._ready)

        running.cancel()  # it says goodbye, and waits for the acknowledgement
        await asyncio.sleep(0.2)
        running.cancel()
        await asyncio.wait([running])

        assert site.outbox._ready
        assert site.link_changes[-1] is False
        await until(lambda: moody.here == 0, 2.0)


async def test_trying_again_is_no_reason_to_give_up_the_session_that_begins(
    site: Site, ca: DevCa, broker: Broker
):
    async with moody_broker(ca, Mood()) as moody:
        link = make_link(site, ca, broker, port=moody.port)
        async with background(link.run()):
            await until(lambda: moody.here == 1)
            link.retry()
            await until(lambda: link.is_up)
            await asyncio.sleep(0.3)
            assert (link.is_up, moody.visits) == (True, 1)


async def test_a_process_without_threads_to_spare_blocks_its_lane_only_for_so_long(
    monkeypatch: pytest.MonkeyPatch,
):
    def exhausted(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    lane = Lane()
    with monkeypatch.context() as full:
        full.setattr(blocking.Thread, "start", exhausted)
        with pytest.raises(RuntimeError):
            await lane.run("the first", lambda: 1, 5.0)

    assert await lane.run("the second", lambda: 2, 5.0) == 2


def test_who_is_let_in_again_does_not_wait_long_after_the_next_cut():
    backoff = Backoff(first_s=1.0, cap_s=300.0)
    backoff.ended(0.0)
    backoff.refused()
    assert backoff.pause_s(1.0) == 300.0

    backoff.ended(20.0)

    assert backoff.pause_s(1.0) <= 4.0
