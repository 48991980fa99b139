"""Whatever runs apart hands on its result, its failure, and never keeps a cancellation to itself."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine

import pytest

from gateway.app import apart
from gateway.app.apart import run_apart
from gateway.errors import DriverError


async def fail_when_cancelled() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise DriverError("gone just now")


async def fail_after_a_while() -> None:
    await asyncio.sleep(0)
    raise DriverError("gone")


async def grouped(*parts: Callable[[], Coroutine[None, None, object]]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part())
    except* DriverError:
        raise DriverError("the group failed") from None


async def deaf_to_the_first_cancellation() -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def test_work_that_loses_a_cancellation_is_told_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(apart, "_TOLD_AGAIN_S", 0.01)
    running = asyncio.get_running_loop().create_task(run_apart(deaf_to_the_first_cancellation()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()

    await asyncio.wait([running], timeout=5)

    assert running.cancelled()


async def test_part_of_a_group_that_runs_apart_is_told_again_too(monkeypatch: pytest.MonkeyPatch):
    """A TaskGroup that is being cancelled does not pass on a second cancellation."""
    monkeypatch.setattr(apart, "_TOLD_AGAIN_S", 0.01)
    work = grouped(lambda: run_apart(deaf_to_the_first_cancellation()))
    running = asyncio.get_running_loop().create_task(run_apart(work))
    for _ in range(5):
        await asyncio.sleep(0)
    running.cancel()

    await asyncio.wait([running], timeout=5)

    assert running.cancelled()


async def test_result_and_failure_are_handed_on():
    assert await run_apart(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(DriverError, match="the group failed"):
        await run_apart(grouped(fail_after_a_while))


async def test_cancellation_is_heard_even_if_the_group_fails_at_the_same_moment():
    async def for_ever() -> None:
        while True:
            with contextlib.suppress(DriverError):
                await run_apart(grouped(fail_when_cancelled))

    async with asyncio.timeout(5):
        task = asyncio.get_running_loop().create_task(for_ever())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_failed_group_does_not_look_like_a_cancellation():
    for _ in range(3):
        with pytest.raises(DriverError):
            await run_apart(grouped(fail_after_a_while, asyncio.Event().wait))

    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
