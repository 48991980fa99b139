"""What survives a kill, and what the next start knows of the last."""

from pathlib import Path

import pytest

from gateway.domain.commands import Record, Remember
from gateway.domain.model import SYSTEM, Channel
from gateway.store import epochs
from tests.fakes.killing import kill_again_and_again
from tests.fakes.shelf import Shelf, bodies, nothing_left, on_disk, take, text
from tests.fakes.waiting import until


def test_killed_at_random_points_it_loses_nothing_that_was_promised(tmp_path: Path):
    verdict = kill_again_and_again(tmp_path / "gateway.db", rounds=12, seed=7)

    assert verdict.promised > 500
    assert verdict.lost == []
    assert verdict.disordered == 0
    # Only what was under way at a kill comes twice; the cloud drops it by its id.
    assert verdict.doubled < 60 * verdict.rounds


async def test_alarm_its_memory_and_its_journal_entry_reach_the_disk_in_one_transaction(shelf: Shelf):
    async with shelf.opened() as store:
        await until(lambda: not store._committer.is_working)
        before = store._committer.commits
        store.record(Record("valve.intent", "valve/main", SYSTEM, "leak confirmed", "7-1", {}), 1.0)
        store.put(Channel.EVENT, text("valve is closing"))
        store.put(Channel.ALARM, text("leak"))
        store.remember(Remember("alarm/leak/zone/plant", {"latched": True}))

        await until(lambda: store._committer.commits > before)

        assert store._committer.commits == before + 1
        assert store.stats()["in_ram"] == 0
        assert not store._committer.pending


async def test_messages_of_the_last_run_leave_before_those_of_this_one(shelf: Shelf):
    async with shelf.opened() as store:
        store.put(Channel.TELE, text("old"))

    async with shelf.opened() as store:
        store.put(Channel.TELE, text("new"))

        assert bodies(await take(store, 2)) == ["old", "new"]


async def test_each_start_is_a_later_epoch(shelf: Shelf):
    seen = []
    for _ in range(4):
        async with shelf.opened() as store:
            seen.append(store.epoch)
            await until(lambda: not store._committer.is_working)

    assert seen == sorted(set(seen))
    assert max(seen) < 2**53


async def test_epoch_is_later_even_when_the_clock_was_set_back(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    async with shelf.opened() as store:
        first = store.epoch
    monkeypatch.setattr(epochs.time, "time", lambda: 1.0)

    async with shelf.opened() as store:
        assert store.epoch == first + 1


async def test_epoch_is_new_even_when_the_file_is_gone(shelf: Shelf):
    async with shelf.opened() as store:
        first = store.epoch
    shelf.path.unlink()

    async with shelf.opened() as store:
        assert store.epoch != first


async def test_start_reports_the_end_of_the_last_epoch_until_that_is_settled(shelf: Shelf):
    async with shelf.opened() as store:
        await on_disk(store, Channel.EVENT, "a")
        former = store.epoch

    async with shelf.opened():
        await until(lambda: shelf.reports)
    async with shelf.opened():
        await until(lambda: len(shelf.reports) == 3)
        for report in shelf.reports:
            report.settle()
    told = [(report.epoch, report.through) for report in shelf.reports]
    shelf.reports.clear()
    async with shelf.opened():
        await until(lambda: shelf.reports)

    assert told.count((former, 1)) == 2
    assert former not in [report.epoch for report in shelf.reports]


async def test_close_puts_everything_that_waits_on_disk(shelf: Shelf):
    async with shelf.opened() as store:
        for n in range(2_500):
            store.put(Channel.TELE, text(f"{n}"))
        store.remember(Remember("counter/cellar", 7, urgent=False))

    async with shelf.opened() as store:
        assert bodies(await take(store, 2_500)) == [f"{n}" for n in range(2_500)]
        assert await nothing_left(store)
        assert store.memory == {"counter/cellar": 7}


async def test_telemetry_reaches_the_disk_in_time_without_a_crowd(shelf: Shelf):
    async with shelf.opened(commit_after_s=0.05) as store:
        await on_disk(store, Channel.TELE, "x")

        assert store.stats()["commits"] == 1


async def test_idle_store_does_nothing(shelf: Shelf):
    async with shelf.opened() as store:
        await on_disk(store, Channel.ALARM, "leak")
        store.published([row.id for row in await take(store, 1)])
        await store._committer.drain()
        timers = (store._committer._linger, store._committer._retry)

        assert all(timer is None or timer.cancelled() for timer in timers)
