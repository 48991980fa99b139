"""What of a meter's contact becomes pulses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.domain.events import Event, MeterPulsed
from gateway.drivers import meter
from gateway.errors import ConfigError, DriverError
from gateway.sim.panel import Panel
from tests.fakes.board import FakeBoard

OPEN, CLOSED = True, False  # a contact to ground under a pull-up


@asynccontextmanager
async def metering(board: FakeBoard, config: meter.Config) -> AsyncIterator[list[Event]]:
    events: list[Event] = []
    async with asyncio.TaskGroup() as group:
        running = group.create_task(meter.run("main", config, board, events.append))
        await asyncio.sleep(0)
        yield events
        running.cancel()


async def test_each_closing_is_one_pulse_and_opening_is_none():
    board = FakeBoard()
    board.drive("meter", OPEN)

    async with metering(board, meter.Config(line="meter")) as events:
        for level in (CLOSED, OPEN, CLOSED, OPEN):
            board.drive("meter", level)

    assert events == [MeterPulsed("main"), MeterPulsed("main")]


async def test_contact_that_is_closed_at_the_start_counts_at_its_next_closing():
    board = FakeBoard()
    board.drive("meter", CLOSED)

    async with metering(board, meter.Config(line="meter")) as events:
        at_start = list(events)
        board.drive("meter", OPEN)
        board.drive("meter", CLOSED)

    assert at_start == []
    assert events == [MeterPulsed("main")]


async def test_level_that_is_told_twice_is_counted_once():
    board = FakeBoard()
    board.drive("meter", OPEN)

    async with metering(board, meter.Config(line="meter")) as events:
        board.drive("meter", CLOSED)
        board.drive("meter", CLOSED)

    assert events == [MeterPulsed("main")]


async def test_output_that_drives_high_counts_its_rising_edges():
    board = FakeBoard()
    config = meter.Config(line="meter", bias="down", active_low=False)

    async with metering(board, config) as events:
        board.drive("meter", True)
        at_the_top = list(events)
        board.drive("meter", False)

    assert at_the_top == events == [MeterPulsed("main")]


async def test_meter_asks_for_its_debounce_and_lets_go_of_its_line():
    board = FakeBoard()

    async with metering(board, meter.Config(line="meter", debounce_s=0.05)):
        (watched,) = [spec for spec, _ in board.watched]

    assert (watched.line, watched.active_low, watched.bias, watched.debounce_s) == ("meter", True, "up", 0.05)
    assert board.watched == []


async def test_line_that_cannot_be_had_ends_the_meter_with_its_reason():
    with pytest.raises(DriverError, match="meter"):
        await meter.run("main", meter.Config(line="meter"), Panel(), [].append)  # type: ignore[arg-type]


@pytest.mark.parametrize("debounce_s", [0.0, 0.001, 0.26])
def test_debounce_that_counts_bounces_or_swallows_pulses_is_refused(debounce_s: float):
    with pytest.raises(ConfigError) as raised:
        meter.Config(line="meter", debounce_s=debounce_s)

    assert [key for key, _ in raised.value.problems] == ["debounce_s"]
