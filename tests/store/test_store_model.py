"""Any order of calls, against a plain model: nothing lost, nothing twice in a session, order kept."""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.domain.model import Channel
from gateway.domain.ports import OutboxRow
from gateway.store.config import Config
from gateway.store.store import Store
from tests.fakes.shelf import WAIT_S, Shelf, nothing_left, text

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(Channel)),
        st.tuples(st.just("take"), st.integers(1, 8)),
        st.tuples(st.just("publish"), st.integers(1, 8)),
        st.tuples(st.just("receive"), st.integers(0, 40)),
        st.tuples(st.just("session"), st.none()),
        st.tuples(st.just("restart"), st.none()),
        st.tuples(st.just("settle"), st.none()),
    ),
    max_size=40,
)

READ_AHEAD_THEN_RECEIVED: list[tuple[str, object]] = [
    *[("put", Channel.ALARM)] * 6,
    ("receive", 0),
    ("restart", None),
    ("put", Channel.ALARM),
    ("take", 2),
    ("receive", 1),
    ("put", Channel.ALARM),
    ("take", 2),
    ("settle", None),
    ("take", 1),
]


class Cloud:
    """The other end: what it was sent in this session, what it has, and what is still owed to it."""

    def __init__(self) -> None:
        self.owed: dict[tuple[int, int], Channel] = {}
        self.session: list[OutboxRow] = []
        self.flying: list[OutboxRow] = []

    def sent(self, rows: list[OutboxRow]) -> None:
        for row in rows:
            assert row.id in self.owed, "sent after it was done with"
            assert row.id not in [old.id for old in self.session], "sent twice in one session"
        self.session += rows
        self.flying += rows

    def new_session(self) -> None:
        self.session.clear()
        self.flying.clear()


async def _play(steps: list[tuple[str, object]], shelf: Shelf, receipts: str) -> None:
    cloud = Cloud()
    rest = list(steps)
    while True:
        async with shelf.opened(receipts=receipts) as store:
            cloud.new_session()
            while rest and rest[0][0] != "restart":
                await _step(store, cloud, receipts, *rest.pop(0))
        if not rest:
            break
        rest.pop(0)
    async with shelf.opened(receipts=receipts) as store:
        cloud.new_session()
        async with asyncio.timeout(WAIT_S):
            while len(cloud.session) < len(cloud.owed):
                cloud.sent(list(await store.take(100)))
        assert await nothing_left(store)
    for channel in Channel:
        ids = [row.id for row in cloud.session if row.channel is channel]
        assert ids == sorted(ids)
    assert {row.id for row in cloud.session} == set(cloud.owed)


def _receive(store: Store, cloud: Cloud, through: int) -> None:
    store.received(store.epoch, through, [(through + 2, through + 3)])
    covered = {*range(through + 1), through + 2, through + 3}
    last = store.stats()["seq"]
    for epoch, seq in list(cloud.owed):
        if epoch == store.epoch and seq in covered and seq <= last:
            del cloud.owed[epoch, seq]


async def _take(store: Store, cloud: Cloud, limit: int) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            cloud.sent(list(await store.take(limit)))


async def _step(store: Store, cloud: Cloud, receipts: str, name: str, arg: object) -> None:
    match name, arg:
        case "put", Channel() as channel:
            cloud.owed[store.put(channel, text("x"))] = channel
        case "take", int() as limit:
            await _take(store, cloud, limit)
        case "publish", int() as count:
            done, cloud.flying = cloud.flying[:count], cloud.flying[count:]
            store.published([row.id for row in done])
            if receipts == "broker":
                for row in done:
                    cloud.owed.pop(row.id, None)
        case "receive", int() as through:
            _receive(store, cloud, through)
        case "session", _:
            store.put_back()
            cloud.new_session()
        case _:
            await asyncio.sleep(0.002)


@example(READ_AHEAD_THEN_RECEIVED, "cloud")
@settings(max_examples=40)
@given(STEPS, st.sampled_from(["broker", "cloud"]))
def test_every_message_is_delivered_in_order_whatever_happens(steps: list[tuple[str, object]], receipts: str):
    with tempfile.TemporaryDirectory() as folder:
        config = Config(path=Path(folder) / "gateway.db", commit_rows=3)
        asyncio.run(_play(steps, Shelf(config), receipts))
