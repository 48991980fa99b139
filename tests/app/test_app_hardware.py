"""What hangs on the board: lines that are missing, buttons that were not watched, sensors that crash."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateway.app.execute import Executor
from gateway.app.hardware import Hardware
from gateway.config.read import read
from gateway.domain.commands import SetCoil
from gateway.domain.events import (
    AdapterFailed,
    AdapterRecovered,
    ButtonChanged,
    CoilFailed,
    EndSwitchChanged,
    Event,
    SensorRead,
    ValveFound,
)
from gateway.domain.model import Coil, Position
from gateway.domain.ports import InputSpec
from gateway.drivers.sensors import contact
from gateway.errors import DriverError
from tests.fakes.board import FakeBoard, FakeLine
from tests.fakes.house import CONFIG


class Board(FakeBoard):
    """Stays until it is told to go; some of its lines may be missing."""

    def __init__(self) -> None:
        super().__init__()
        self.missing: set[str] = set()
        self.crashing: set[str] = set()
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        await self.gone

    def watch(self, spec: InputSpec, on_level: Callable[[bool], None]) -> AbstractContextManager[bool]:
        if spec.line in self.missing:
            raise DriverError(f"{spec.line}: no such line")
        return super().watch(spec, on_level)

    def output(self, line: str) -> FakeLine:
        if line in self.crashing:
            raise OSError(f"{line}: a bug")
        if line in self.missing:
            raise DriverError(f"{line}: no such line")
        return super().output(line)


class Bench:
    """Hardware on a board in memory, with everything that it tells."""

    def __init__(self, folder: Path) -> None:
        file = folder / "gateway.toml"
        file.write_text(CONFIG)
        self.board = Board()
        self.events: list[Event] = []
        self.found: list[ValveFound] = []
        self._news = asyncio.Event()
        self.hardware = Hardware(read(file), self.board, self._hear, self._take)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def _take(self, found: Sequence[ValveFound]) -> None:
        self.found += found
        self._news.set()

    def readings(self) -> int:
        return len([event for event in self.events if isinstance(event, SensorRead)])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        before = self.readings()
        task = asyncio.get_running_loop().create_task(self.hardware.run())
        try:
            await self.until(lambda: self.readings() > before)
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.board.levels["lobby"] = True  # released: the button pulls to ground
    return bench


def closing(valve_id: str) -> SetCoil:
    return SetCoil(valve_id, Coil.OPEN, energised=False)


async def test_missing_line_costs_its_own_valve_and_is_tried_again_until_it_is_there(bench: Bench):
    bench.board.missing = {"garden-open"}

    async with bench.running():
        assert [event.valve_id for event in bench.found] == ["main"]
        assert AdapterFailed("valve/garden", "garden-open: no such line") in bench.events
        with pytest.raises(DriverError):
            bench.hardware.drive(closing("garden"))

        bench.board.missing.clear()
        await bench.until(lambda: len(bench.found) > 1)

        assert bench.found[-1].valve_id == "garden"
        bench.hardware.drive(closing("garden"))
    assert bench.board.outputs["garden-open"].history == [False]


async def test_valve_with_a_missing_line_is_not_watched_by_half(bench: Bench):
    bench.board.missing = {"main-open"}

    async with bench.running():
        assert not [spec for spec, _ in bench.board.watched if spec.line == "main-is-open"]


async def test_valve_is_driven_though_a_switch_is_missing_which_is_told_and_tried_again(bench: Bench):
    bench.board.missing = {"main-is-closed"}

    async with bench.running():
        main = next(event for event in bench.found if event.valve_id == "main")
        assert Position.CLOSED not in main.switches
        assert AdapterFailed("valve/main", "main-is-closed: no such line") in bench.events
        bench.hardware.drive(SetCoil("main", Coil.CLOSE, energised=True))
        assert bench.board.outputs["main-close"].history == [True]

        bench.board.missing.clear()
        came = EndSwitchChanged("main", Position.CLOSED, made=True)
        await bench.until(lambda: came in bench.events)

        assert [event.valve_id for event in bench.found].count("main") == 1
        bench.board.drive("main-is-closed", level=True)
        assert bench.events[-1] == EndSwitchChanged("main", Position.CLOSED, made=False)
    assert bench.board.watched == []


async def test_valve_without_coil_line_and_switch_gets_its_coils_as_soon_as_they_are_there(bench: Bench):
    bench.board.missing = {"main-open", "main-is-closed"}

    async with bench.running():
        bench.board.missing.discard("main-open")
        await bench.until(lambda: "main" in [event.valve_id for event in bench.found])
        bench.hardware.drive(SetCoil("main", Coil.CLOSE, energised=True))

        bench.board.missing.clear()
        await bench.until(lambda: EndSwitchChanged("main", Position.CLOSED, made=True) in bench.events)

    assert bench.board.outputs["main-close"].history == [True]


async def test_bug_at_one_valves_line_does_not_cost_the_other_valve(
    bench: Bench, caplog: pytest.LogCaptureFixture
):
    bench.board.crashing = {"main-open"}

    async with bench.running():
        assert AdapterFailed("valve/main", "OSError: main-open: a bug") in bench.events
        bench.hardware.drive(closing("garden"))

    assert "valve/main crashed" in caplog.text


async def test_button_held_at_the_start_is_not_an_edge(bench: Bench):
    bench.board.levels["lobby"] = False

    async with bench.running():
        assert ButtonChanged("lobby", pressed=True, is_edge=False) in bench.events


async def test_button_released_while_the_board_was_away_is_no_press(bench: Bench):
    async with bench.running():
        bench.board.drive("lobby", level=False)
    bench.board.levels["lobby"] = True

    async with bench.running():
        pass

    presses = [event for event in bench.events if isinstance(event, ButtonChanged)]
    assert presses == [
        ButtonChanged("lobby", pressed=True),
        ButtonChanged("lobby", pressed=False, is_edge=False),
    ]


async def test_sensor_tells_its_level_each_time_it_is_started(bench: Bench):
    for _ in range(2):
        async with bench.running():
            pass

    assert bench.readings() == 2


async def test_crash_in_a_sensors_callback_is_an_adapter_that_failed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    async with bench.running():
        monkeypatch.setattr(contact, "Reading", None)

        bench.board.drive("leak", level=True)

    assert AdapterFailed("sensor/floor", "TypeError: 'NoneType' object is not callable") in bench.events
    assert AdapterRecovered("sensor/floor") not in bench.events


class WildHardware:
    """Its first valve crashes the driver in a way that nobody foresaw."""

    def __init__(self) -> None:
        self.driven: list[SetCoil] = []

    def drive(self, command: SetCoil) -> None:
        if command.valve_id == "main":
            raise ZeroDivisionError("division by zero")
        self.driven.append(command)


def test_line_that_crashes_does_not_keep_the_next_valve_open():
    hardware, events = WildHardware(), list[Event]()
    executor = Executor(hardware, None, None, None, events.append)

    executor.execute([closing("main"), closing("garden")])

    assert hardware.driven == [closing("garden")]
    assert events == [CoilFailed("main", "ZeroDivisionError: division by zero")]
