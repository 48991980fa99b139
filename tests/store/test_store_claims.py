"""A command is executed at most once."""

import asyncio
import math

import pytest

from gateway.errors import StoreError
from tests.fakes.shelf import Shelf


async def test_command_is_claimed_once_even_across_restarts(shelf: Shelf):
    async with shelf.opened() as store:
        first = [await store.claim("c1", 100.0), await store.claim("c1", 100.0)]
    async with shelf.opened() as store:
        second = await store.claim("c1", 100.0)

    assert (first, second) == ([True, False], False)


async def test_of_many_claims_at_once_one_wins(shelf: Shelf):
    async with shelf.opened() as store, asyncio.TaskGroup() as tasks:
        claims = [tasks.create_task(store.claim("c1", 1.0)) for _ in range(10)]

    assert sum(claim.result() for claim in claims) == 1


async def test_forgotten_commands_are_refused_by_their_date(shelf: Shelf):
    async with shelf.opened(claims=16) as store:
        taken = [await store.claim(f"c{n}", 1_000.0 + n) for n in range(40)]
        again = [await store.claim(f"c{n}", 1_000.0 + n) for n in range(40)]
        fresh = await store.claim("fresh", 2_000.0)

    assert (all(taken), any(again), fresh) == (True, False, True)


@pytest.mark.parametrize("not_after", [math.nan, -math.inf])
async def test_nonsense_date_is_refused(shelf: Shelf, not_after: float):
    async with shelf.opened() as store:
        assert await store.claim("c1", not_after) is False


async def test_nonsense_id_is_an_error_not_a_traceback(shelf: Shelf):
    async with shelf.opened() as store:
        with pytest.raises(StoreError):
            await store.claim("\ud800", 1.0)

        assert await store.claim("c1", 1.0)
