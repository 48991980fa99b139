"""What leaves, in which order, and when a message is done with."""

import asyncio

import pytest

from gateway.domain.model import Channel
from gateway.domain.ports import MessageId
from gateway.errors import StoreError
from tests.fakes.shelf import Shelf, bodies, nothing_left, on_disk, take, text
from tests.fakes.waiting import until

QUEUES = [channel.name.lower() for channel in Channel]


async def test_seqs_are_dense_across_channels(shelf: Shelf):
    async with shelf.opened() as store:
        ids = [store.put(channel, text("x")) for channel in (Channel.TELE, Channel.ALARM, Channel.STATE)]

        assert ids == [MessageId(store.epoch, seq) for seq in (1, 2, 3)]


async def test_encoder_that_raises_leaves_no_hole(shelf: Shelf):
    def broken(_: MessageId) -> bytes:
        raise LookupError

    async with shelf.opened() as store:
        with pytest.raises(LookupError):
            store.put(Channel.TELE, broken)

        assert store.put(Channel.TELE, text("x")).seq == 1


async def test_message_too_large_for_any_broker_is_refused(shelf: Shelf):
    async with shelf.opened() as store:
        with pytest.raises(StoreError, match="131072"):
            store.put(Channel.TELE, text("x" * 131_073))


async def test_alarm_overtakes_a_backlog_on_disk(shelf: Shelf):
    async with shelf.opened() as store:
        for n in range(200):
            store.put(Channel.EVENT, text(f"event {n}"))
        await until(lambda: store.stats()["in_ram"] == 0)
        first = await take(store, 10)
        await on_disk(store, Channel.ALARM, "leak")

        assert bodies(first) == [f"event {n}" for n in range(10)]
        assert bodies(await take(store, 2)) == ["leak", "event 10"]


async def test_channels_leave_by_priority_then_age(shelf: Shelf):
    async with shelf.opened() as store:
        for channel in reversed(Channel):
            for n in range(2):
                store.put(channel, text(f"{channel.name} {n}"))
        await until(lambda: store.stats()["commits"])

        assert bodies(await take(store, 10)) == [f"{c.name} {n}" for c in Channel for n in range(2)]


async def test_telemetry_that_leaves_in_time_never_touches_the_disk(shelf: Shelf):
    async with shelf.opened() as store:
        for n in range(50):
            store.put(Channel.TELE, text(f"{n}"))
            store.published([row.id for row in await take(store, 1)])

        assert (store.stats()["commits"], store.stats()["in_ram"]) == (0, 0)


async def test_order_holds_between_disk_and_ram(shelf: Shelf):
    async with shelf.opened(commit_rows=10) as store:
        for n in range(25):
            store.put(Channel.TELE, text(f"{n}"))
            await asyncio.sleep(0)
        await until(lambda: store.stats()["commits"])
        store.put(Channel.TELE, text("25"))

        assert bodies(await take(store, 26)) == [f"{n}" for n in range(26)]


async def test_row_that_left_from_ram_is_not_sent_again_once_on_disk(shelf: Shelf):
    async with shelf.opened() as store:
        store.put(Channel.TELE, text("a"))
        await take(store, 1)
        await on_disk(store, Channel.ALARM, "leak")

        assert bodies(await take(store, 1)) == ["leak"]
        assert await nothing_left(store)


async def test_row_sent_while_older_ones_wait_on_disk_is_sent_once(shelf: Shelf):
    async with shelf.opened() as store:
        store.put(Channel.EVENT, text("a"))
        rows = await take(store, 1)
        store.put(Channel.EVENT, text("b"))
        await until(lambda: store.stats()["in_ram"] == 0)

        assert bodies(rows + await take(store, 1)) == ["a", "b"]
        assert await nothing_left(store)


async def test_put_back_sends_everything_unfinished_again_oldest_first(shelf: Shelf):
    async with shelf.opened() as store:
        for n in range(150):
            store.put(Channel.TELE, text(f"{n}"))
        await until(lambda: store.stats()["in_ram"] == 0)
        store.put(Channel.TELE, text("150"))
        rows = await take(store, 151)
        store.published([row.id for row in rows[:40]])

        store.put_back()

        assert bodies(await take(store, 111)) == [f"{n}" for n in range(40, 151)]
        assert await nothing_left(store)


async def test_puback_is_enough_with_broker_receipts(shelf: Shelf):
    async with shelf.opened() as store:
        await on_disk(store, Channel.ALARM, "leak")
        store.published([row.id for row in await take(store, 1)])

    async with shelf.opened() as store:
        assert await nothing_left(store)


async def test_puback_is_not_enough_with_cloud_receipts(shelf: Shelf):
    async with shelf.opened(receipts="cloud") as store:
        await on_disk(store, Channel.ALARM, "leak")
        store.published([row.id for row in await take(store, 1)])
        assert await nothing_left(store)

    async with shelf.opened(receipts="cloud") as store:
        assert bodies(await take(store, 1)) == ["leak"]


async def test_watermark_and_ranges_let_messages_leave(shelf: Shelf):
    async with shelf.opened(receipts="cloud") as store:
        for n in range(1, 13):
            store.put(Channel(n % 5), text(f"{n}"))
        epoch = store.epoch
        store.received(epoch, 4, [(6, 7), (9, 9)])

    async with shelf.opened(receipts="cloud") as store:
        rows = await take(store, 5)
        assert sorted(row.id.seq for row in rows) == [5, 8, 10, 11, 12]
        assert {row.id.epoch for row in rows} == {epoch}
        assert await nothing_left(store)


async def test_receipt_for_what_was_not_yet_said_swallows_nothing(shelf: Shelf):
    async with shelf.opened(receipts="cloud") as store:
        await on_disk(store, Channel.EVENT, "a")
        store.received(store.epoch, 10**15, [(-5, 10**18), (9, 3)])
        await on_disk(store, Channel.EVENT, "b")

        assert bodies(await take(store, 1)) == ["b"]
        assert await nothing_left(store)


async def test_watermark_over_a_large_backlog_is_done_in_slices(shelf: Shelf):
    async with shelf.opened(receipts="cloud") as store:
        for n in range(5_000):
            store.put(Channel.TELE, text(f"{n}"))
        await until(lambda: store.stats()["in_ram"] == 0)
        commits = store.stats()["commits"]

        store.received(store.epoch, 4_999, [])

        await until(lambda: store.stats()["queued"]["tele"] == 1)
        assert store.stats()["commits"] - commits >= 3
        assert bodies(await take(store, 1)) == ["4999"]


async def test_receipts_after_a_reconnect_spare_the_backlog_from_being_sent_again(shelf: Shelf):
    async with shelf.opened(receipts="cloud") as store:
        for n in range(100):
            store.put(Channel.EVENT, text(f"{n}"))
        await until(lambda: store.stats()["in_ram"] == 0)
        await take(store, 100)

        store.put_back()
        store.received(store.epoch, 99, [])

        assert bodies(await take(store, 1)) == ["99"]
        assert await nothing_left(store)


async def test_message_read_ahead_and_then_receipted_is_not_sent_even_after_the_commit(shelf: Shelf):
    async with shelf.opened(receipts="cloud") as store:
        for n in range(1, 11):
            store.put(Channel.EVENT, text(f"{n}"))
        await until(lambda: store.stats()["in_ram"] == 0)
        store.put_back()
        assert bodies(await take(store, 1)) == ["1"]

        store.received(store.epoch, 8, [])
        await on_disk(store, Channel.EVENT, "11")  # and with it goes what was received

        assert bodies(await take(store, 3)) == ["9", "10", "11"]
        assert await nothing_left(store)


async def test_poison_message_is_put_aside_with_a_report(shelf: Shelf):
    async with shelf.opened() as store:
        await on_disk(store, Channel.EVENT, "bad")
        store.put(Channel.TELE, text("also bad"))
        rows = await take(store, 2)
        for row in rows:
            store.set_aside(row.id, "packet too large")
        await until(lambda: store.stats()["poisoned"] == 2)
        store.put_back()

        assert await nothing_left(store)
        assert [(r.detail, r.ranges[0].channel, r.ranges[0].first) for r in shelf.reports] == [
            ("packet too large", Channel.EVENT, 1),
            ("packet too large", Channel.TELE, 2),
        ]


async def test_row_published_while_it_is_being_committed_leaves_for_good(shelf: Shelf):
    async with shelf.opened() as store:
        for n in range(30):
            store.put(Channel.EVENT, text(f"{n}"))
            await asyncio.sleep(0)
            store.published([row.id for row in await take(store, 1)])
        store.put_back()

        assert await nothing_left(store)

    async with shelf.opened() as store:
        assert await nothing_left(store)


@pytest.mark.parametrize("receipts", ["cloud", "broker"])
async def test_what_is_delivered_counts_as_delivered_before_the_disk_lets_it_go(shelf: Shelf, receipts: str):
    async with shelf.opened(commit_after_s=3600.0, receipts=receipts) as store:
        message = await on_disk(store, Channel.ALARM, "leak")
        await on_disk(store, Channel.EVENT, "closing")
        await take(store, 1)
        store.published([message])
        if receipts == "cloud":
            store.received(message.epoch, message.seq)

        assert store.stats()["queued"] == dict.fromkeys(QUEUES, 0) | {"event": 1}
        assert store.stats()["delivered_on_disk"] == 1
        assert store.stats()["delivered"] == 1

        await on_disk(store, Channel.ALARM, "another leak")

        assert store.stats()["queued"] == dict.fromkeys(QUEUES, 0) | {"alarm": 1, "event": 1}
        assert store.stats()["delivered_on_disk"] == 0
