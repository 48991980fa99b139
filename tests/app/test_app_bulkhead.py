"""A crash stays where it happened, is told, and is tried again."""

import asyncio

import pytest

from gateway.app.bulkhead import Patience, keep_running
from gateway.domain.events import AdapterFailed, AdapterRecovered, Event
from gateway.errors import DriverError

QUICK = Patience(first_pause_s=0.001, longest_pause_s=0.004, stable_s=0.02)


class Part:
    """Fails with each of these in turn, then runs."""

    def __init__(self, *failures: Exception | None) -> None:
        self.failures = list(failures)
        self.starts = 0

    async def run(self) -> None:
        self.starts += 1
        if self.failures:
            failure = self.failures.pop(0)
            if failure is None:
                return
            raise failure
        await asyncio.Event().wait()


async def events_until(part: Part, wanted: Event) -> list[Event]:
    """Run the part until this event is emitted; return all events."""
    events: list[Event] = []
    seen = asyncio.Event()

    def emit(event: Event) -> None:
        events.append(event)
        if event == wanted:
            seen.set()

    async with asyncio.timeout(5):
        task = asyncio.get_running_loop().create_task(keep_running("probe", part.run, emit, QUICK))
        await seen.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    return events


async def test_part_that_fails_is_started_again_and_reported():
    part = Part(DriverError("bus gone"), DriverError("bus gone"))

    events = await events_until(part, AdapterRecovered("probe"))

    failed = AdapterFailed("probe", "bus gone")
    assert events == [failed, failed, AdapterRecovered("probe")]
    assert part.starts == 3


async def test_bug_is_contained_and_logged_with_its_place(caplog: pytest.LogCaptureFixture):
    events = await events_until(Part(ZeroDivisionError("division by zero")), AdapterRecovered("probe"))

    assert events[0] == AdapterFailed("probe", "ZeroDivisionError: division by zero")
    assert "test_app_bulkhead.py" in caplog.text


async def test_part_that_ends_by_itself_counts_as_failed():
    events = await events_until(Part(None), AdapterRecovered("probe"))

    assert events[0] == AdapterFailed("probe", "ended by itself")


async def test_first_start_clears_what_a_former_run_left():
    assert await events_until(Part(), AdapterRecovered("probe")) == [AdapterRecovered("probe")]


def test_pauses_grow_to_their_limit():
    patience = Patience(first_pause_s=0.5, longest_pause_s=60)

    assert [patience.pause_s(n) for n in (1, 2, 3, 8, 9, 10_000)] == [0.5, 1, 2, 60, 60, 60]


async def test_part_that_fails_in_the_moment_of_its_cancellation_ends_all_the_same():
    starts = 0

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise DriverError("gone just now")

    async def part() -> None:
        nonlocal starts
        starts += 1
        async with asyncio.TaskGroup() as group:  # in Python 3.11 and 3.12 it then hides the cancellation
            group.create_task(fail_when_cancelled())

    async with asyncio.timeout(5):
        task = asyncio.get_running_loop().create_task(keep_running("probe", part, lambda _: None, QUICK))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert starts == 1


async def test_the_same_failure_is_logged_once_until_the_part_has_recovered(caplog: pytest.LogCaptureFixture):
    part = Part(DriverError("bus gone"), DriverError("bus gone"), DriverError("bus slow"))

    await events_until(part, AdapterRecovered("probe"))

    assert [record.getMessage() for record in caplog.records] == [
        "probe failed: bus gone",
        "probe failed: bus slow",
    ]
