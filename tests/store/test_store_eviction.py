"""The byte cap: what is given up first, and that every gap is explained."""

import asyncio

from gateway.domain.model import Channel
from gateway.store.report import ReportKind, count_of
from gateway.store.store import Store
from tests.fakes.shelf import Shelf, nothing_left, take, text
from tests.fakes.waiting import until

SMALL = {"max_bytes": 640 * 1024, "max_ram_bytes": 256 * 1024}
DISK_CAP = 384 * 1024


async def _fill(store: Store, channel: Channel, count: int) -> None:
    for start in range(0, count, 100):
        for _ in range(start, start + 100):
            store.put(channel, text("x" * 500))
        await until(lambda: store.stats()["in_ram"] < 100)


async def test_file_stays_below_the_cap_and_the_oldest_telemetry_goes(shelf: Shelf):
    async with shelf.opened(**SMALL) as store:
        await _fill(store, Channel.TELE, 2_000)
        stats = store.stats()
        left = [row.id.seq for row in await take(store, stats["queued"]["tele"])]

        assert stats["disk_bytes"] <= DISK_CAP
        assert shelf.path.stat().st_size <= DISK_CAP + 160 * 1024
        assert left == list(range(2_001 - len(left), 2_001))
        assert stats["evicted"] == 2_000 - len(left)


async def test_telemetry_goes_before_events_and_events_before_alarms(shelf: Shelf):
    async with shelf.opened(**SMALL) as store:
        for channel in (Channel.ALARM, Channel.EVENT, Channel.TELE):
            await _fill(store, channel, 100)
        await _fill(store, Channel.STATE, 200)
        first = store.stats()["queued"]
        await _fill(store, Channel.ALARM, 300)
        second = store.stats()["queued"]

    assert (first["alarm"], first["event"], first["tele"]) == (100, 100, 0)
    assert second["alarm"] > 340
    assert (second["event"], second["state"], second["tele"]) == (0, 0, 0)


async def test_every_missing_seq_is_named_in_a_report(shelf: Shelf):
    async with shelf.opened(**SMALL) as store:
        for _ in range(10):
            await _fill(store, Channel.TELE, 100)
            await _fill(store, Channel.STATE, 100)
        await until(lambda: not store._committer.is_working)
        held = sum(store.stats()["queued"].values())
        left = {(row.channel, row.id.seq) for row in await take(store, held)}
        ranges = [span for report in shelf.reported(ReportKind.EVICTED) for span in report.ranges]
        named = {(c, seq) for c, _, first, last in ranges for seq in range(first, last + 1)}

        assert not left & named
        assert {seq for _, seq in left | named} == set(range(1, 2_001))
        assert store.stats()["evicted"] == count_of(ranges) == len(named)


async def test_reports_of_gaps_come_again_after_a_restart_until_settled(shelf: Shelf):
    async with shelf.opened(**SMALL) as store:
        await _fill(store, Channel.TELE, 1_200)
    told = shelf.reported(ReportKind.EVICTED)
    shelf.reports.clear()

    async with shelf.opened(**SMALL):
        await until(lambda: shelf.reported(ReportKind.RESTARTED))
        again = shelf.reported(ReportKind.EVICTED)
        for report in again:
            report.settle()
    shelf.reports.clear()
    async with shelf.opened(**SMALL):
        await until(lambda: shelf.reported(ReportKind.RESTARTED))

        assert [r.ranges for r in again] == [r.ranges for r in told]
        assert told
        assert shelf.reported(ReportKind.EVICTED) == []


async def test_queue_in_ram_is_capped_too_and_keeps_the_alarm(shelf: Shelf):
    async with shelf.opened(**SMALL) as store:
        # Nothing yields here: the disk has no chance, as if it stalled.
        store.put(Channel.ALARM, text("leak"))
        for _ in range(2_000):
            store.put(Channel.TELE, text("x" * 500))
        in_ram = store.stats()["ram_bytes"]
        await until(lambda: store.stats()["in_ram"] == 0)
        await asyncio.sleep(0)
        first = await take(store, 1)

        assert in_ram <= SMALL["max_ram_bytes"]
        assert first[0].payload == b"leak"
        assert store.stats()["evicted"] + store.stats()["queued"]["tele"] == 2_000
        assert not await nothing_left(store)
