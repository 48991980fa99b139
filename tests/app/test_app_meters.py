"""Meters on the board: they count, and one that fails costs nobody else anything."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateway.app.hardware import Hardware
from gateway.config.read import read
from gateway.domain.events import AdapterFailed, Event, MeterPulsed, SensorRead
from gateway.domain.ports import InputSpec
from gateway.drivers import meter
from gateway.errors import DriverError
from tests.fakes.board import FakeBoard
from tests.fakes.house import CONFIG

METERS = """
[meter.street]
line = "street-meter"
litres_per_pulse = 10
valves = ["main"]
[meter.garden]
line = "garden-meter"
litres_per_pulse = 1
"""


class Board(FakeBoard):
    """Stays; some of its inputs may be missing. Tells when another is watched."""

    def __init__(self, on_watch: Callable[[], None]) -> None:
        super().__init__()
        self.missing: set[str] = set()
        self.on_watch = on_watch
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        await self.gone

    def watch(self, spec: InputSpec, on_level: Callable[[bool], None]) -> AbstractContextManager[bool]:
        if spec.line in self.missing:
            raise DriverError(f"{spec.line}: no such line")
        asyncio.get_running_loop().call_soon(self.on_watch)
        return super().watch(spec, on_level)


class Bench:
    """Hardware with two meters on a board in memory, and everything that it tells."""

    def __init__(self, folder: Path) -> None:
        file = folder / "gateway.toml"
        file.write_text(CONFIG + METERS)
        self._news = asyncio.Event()
        self.board = Board(self._news.set)
        self.board.levels = dict.fromkeys(("lobby", "street-meter", "garden-meter"), True)
        self.events: list[Event] = []
        self.hardware = Hardware(read(file), self.board, self._hear, lambda _found: None)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def pulse(self, line: str) -> None:
        self.board.drive(line, False)
        self.board.drive(line, True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.get_running_loop().create_task(self.hardware.run())
        try:
            await self.until(lambda: any(isinstance(event, SensorRead) for event in self.events))
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def watches(self, line: str) -> bool:
        return any(spec.line == line for spec, _ in self.board.watched)


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_each_meter_counts_for_itself(bench: Bench):
    async with bench.running():
        await asyncio.sleep(0)
        for line in ("street-meter", "garden-meter", "street-meter"):
            bench.pulse(line)

    pulses = [event for event in bench.events if isinstance(event, MeterPulsed)]
    assert pulses == [MeterPulsed("street"), MeterPulsed("garden"), MeterPulsed("street")]


async def test_meter_whose_line_is_missing_is_told_and_counts_once_it_is_there(bench: Bench):
    bench.board.missing = {"street-meter"}

    async with bench.running():
        await bench.until(lambda: AdapterFailed("meter/street", "street-meter: no such line") in bench.events)
        bench.pulse("garden-meter")
        bench.board.missing.clear()
        await bench.until(lambda: bench.watches("street-meter"))
        bench.pulse("street-meter")

    pulses = [event for event in bench.events if isinstance(event, MeterPulsed)]
    assert pulses == [MeterPulsed("garden"), MeterPulsed("street")]


async def test_board_that_goes_away_takes_the_meters_along_and_says_so(bench: Bench):
    async with bench.running():
        bench.board.gone.set_exception(DriverError("the chip is gone"))
        await bench.until(lambda: AdapterFailed("meter/garden", "the board is not there") in bench.events)

    assert AdapterFailed("meter/street", "the board is not there") in bench.events


async def test_crash_in_a_meter_is_told_and_the_sensors_go_on(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    async with bench.running():
        await asyncio.sleep(0)
        monkeypatch.setattr(meter, "MeterPulsed", None)
        bench.pulse("street-meter")
        bench.board.drive("leak", level=True)

    assert AdapterFailed("meter/street", "TypeError: 'NoneType' object is not callable") in bench.events
    assert isinstance(bench.events[-1], SensorRead)
