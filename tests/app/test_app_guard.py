"""A crash in a driver's callback is told, and nobody else notices."""

import asyncio

import pytest

from gateway.app.guard import GuardedBoard
from gateway.domain.events import AdapterFailed, AdapterRecovered, Event
from gateway.domain.ports import Advert, InputSpec
from tests.fakes.board import FakeBoard

ADDRESS = "54:48:E6:8F:80:A5"
FAILED = AdapterFailed("sensor/cellar", "ZeroDivisionError: division by zero")


class Ear:
    """Keeps what it hears and chokes on a nameless advertisement."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def hear(self, advert: Advert) -> None:
        self.heard.append(advert.name)
        1 / len(advert.name)


def listening() -> tuple[FakeBoard, GuardedBoard, list[Event]]:
    board, events = FakeBoard(), list[Event]()
    return board, GuardedBoard(board, "sensor/cellar", events.append), events


async def test_crash_in_a_callback_is_told_and_the_part_goes_on_listening():
    board, guarded, events = listening()
    ear, neighbour = Ear(), list[Advert]()
    bad, good = Advert(ADDRESS), Advert(ADDRESS, name="x")

    with guarded.listen(ADDRESS, ear.hear), board.listen(ADDRESS, neighbour.append):
        board.hear(bad)
        board.hear(good)

    assert events == [FAILED]
    assert ear.heard == ["", "x"]
    assert neighbour == [bad, good]


async def test_crash_at_an_edge_is_told_too():
    board, guarded, events = listening()

    def crash(level: bool) -> None:
        1 / (not level)

    with guarded.watch(InputSpec("leak"), crash) as level:
        board.drive("leak", level=True)

    assert level is False
    assert events == [FAILED]


async def test_part_that_crashes_no_more_has_recovered():
    board, events = FakeBoard(), asyncio.Queue[Event]()
    guarded = GuardedBoard(board, "sensor/cellar", events.put_nowait, calm_s=0.01)

    with guarded.listen(ADDRESS, Ear().hear):
        board.hear(Advert(ADDRESS))
        async with asyncio.timeout(5):
            told = [await events.get(), await events.get()]

    assert told == [FAILED, AdapterRecovered("sensor/cellar")]


async def test_repeated_crash_is_logged_once(caplog: pytest.LogCaptureFixture):
    board, guarded, _ = listening()

    with guarded.listen(ADDRESS, Ear().hear):
        for _ in range(5):
            board.hear(Advert(ADDRESS))

    assert caplog.text.count("Traceback") == 1
    assert "test_app_guard.py" in caplog.text
