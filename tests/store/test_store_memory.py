"""What is remembered, and when nothing is."""

from gateway.domain.commands import Remember
from tests.fakes.shelf import Shelf
from tests.fakes.waiting import until


async def test_first_start_remembers_nothing_but_can_be_relied_on(shelf: Shelf):
    async with shelf.opened() as store:
        assert store.memory == {}


async def test_last_value_of_a_key_counts(shelf: Shelf):
    value = {"state": "latched", "wet": ["pipe-1"], "since_s": 1.5, "note": 'naïve "\u2028"', "none": None}
    async with shelf.opened() as store:
        store.remember(Remember("a", 1))
        store.remember(Remember("a", value))
        store.remember(Remember("b", 1))
        store.remember(Remember("b", None))
        store.remember(Remember("c", 0, urgent=False))

    async with shelf.opened() as store:
        assert store.memory == {"a": value, "c": 0}


async def test_urgent_value_is_committed_at_once_and_others_wait(shelf: Shelf):
    async with shelf.opened() as store:
        store.remember(Remember("counter", 1, urgent=False))
        await store._thread.call(lambda: None)
        waited = store.stats()["commits"]
        store.remember(Remember("alarm", 1))
        await until(lambda: store.stats()["commits"] == 1)

        assert waited == 0


async def test_many_updates_of_one_counter_are_one_write(shelf: Shelf):
    async with shelf.opened(commit_after_s=0.05) as store:
        for n in range(1_000):
            store.remember(Remember("counter", n, urgent=False))
        await until(lambda: store.stats()["commits"])
        await store._thread.call(lambda: None)

        assert store.stats()["commits"] == 1
