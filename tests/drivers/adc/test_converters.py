"""Samples from converters: who gets them, and what a broken bus costs whom."""

import asyncio
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from gateway.app.bulkhead import Patience, keep_running
from gateway.domain.events import AdapterFailed, AdapterRecovered, Event
from gateway.domain.ports import AnalogSpec, Failure
from gateway.drivers.adc import analog
from gateway.drivers.adc.ads1115 import Ads1115
from gateway.drivers.adc.analog import Converters
from gateway.drivers.adc.chip import Chip
from gateway.drivers.adc.config import Config
from gateway.drivers.adc.mcp3008 import Mcp3008
from gateway.errors import DriverError
from tests.fakes.converters import Ads1115Chip, Mcp3008Chip
from tests.fakes.waiting import until

SPI = Config(kind="mcp3008", device=Path("/dev/spidev0.0"))
I2C = Config(kind="ads1115", device=Path("/dev/i2c-1"), supply_channel=3)
IMPATIENT = Patience(first_pause_s=0.01, longest_pause_s=0.02, stable_s=0.05)


class Bench:
    """Two converters, "spi" and "i2c", whose parts run in bulkheads as the daemon's do."""

    def __init__(self) -> None:
        self.spi = Mcp3008Chip([0.69, 0.32, 0, 0, 0, 0, 0, 0])
        self.i2c = Ads1115Chip([2.3, 1.1, 0, 3.3])
        self.converters = Converters({"spi": SPI, "i2c": I2C}, self._chip_of)
        self.events: list[Event] = []
        self.heard: dict[str, list[float | Failure]] = {}
        self._listening = ExitStack()

    def _chip_of(self, config: Config) -> Chip:
        if config.kind == "mcp3008":
            return Mcp3008(config, lambda: self.spi)
        return Ads1115(config, self.i2c.opened, self.i2c.sleep)

    def listen(self, source: str, every_s: float = 0.01) -> list[float | Failure]:
        """Sample "spi/1"; the list grows with what is heard."""
        adc, channel = source.split("/")
        heard: list[float | Failure] = []
        self.heard[source] = heard
        spec = AnalogSpec(adc, int(channel), every_s)
        self._listening.enter_context(self.converters.sample(spec, heard.append))
        return heard

    async def __aenter__(self) -> Self:
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        self._running = [
            self._tasks.create_task(keep_running(name, part, self.events.append, IMPATIENT))
            for name, part in self.converters.parts().items()
        ]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._running:
            task.cancel()
        await self._tasks.__aexit__(None, None, None)
        self._listening.close()


def ratios(heard: list[float | Failure]) -> list[float]:
    return [sample for sample in heard if not isinstance(sample, Failure)]


def problems(heard: list[float | Failure]) -> list[str]:
    return [sample.problem for sample in heard if isinstance(sample, Failure)]


def test_each_converter_is_a_part_of_its_own():
    assert set(Bench().converters.parts()) == {"adc/spi", "adc/i2c"}


async def test_each_sampler_gets_its_own_channel_in_the_loop():
    async with Bench() as bench:
        spi, other, i2c = bench.listen("spi/0"), bench.listen("spi/1"), bench.listen("i2c/0")
        await until(lambda: min(len(spi), len(other), len(i2c)) >= 3)

    assert ratios(spi)[:3] == pytest.approx([0.69] * 3, abs=0.001)
    assert ratios(other)[:3] == pytest.approx([0.32] * 3, abs=0.001)
    assert ratios(i2c)[:3] == pytest.approx([2.3 / 3.3] * 3, abs=0.001)


async def test_a_sampler_that_comes_later_need_not_wait_for_the_slow_ones():
    async with Bench() as bench:
        bench.listen("spi/0", every_s=60.0)
        await until(lambda: bench.heard["spi/0"])
        late = bench.listen("spi/1")
        await until(lambda: late)

    assert len(bench.heard["spi/0"]) == 1


async def test_a_sampler_that_left_is_not_called_any_more():
    async with Bench() as bench:
        with bench.converters.sample(AnalogSpec("spi", 0, 0.001), (left := []).append):
            await until(lambda: left)
        count = len(left)
        staying = bench.listen("spi/1", every_s=0.001)
        await until(lambda: len(staying) >= 5)

    assert len(left) == count


@pytest.mark.parametrize(
    ("adc", "channel", "problem"),
    [
        ("attic", 0, r"there is no \[adc\.attic\]; the gateway has spi, i2c"),
        ("spi", 8, "adc.spi has no free input 8; an mcp3008 has 0 to 7"),
        ("spi", -1, "no free input -1"),
        ("i2c", 3, "no free input 3; an ads1115 has 0 to 3 and one measures the supply"),
    ],
)
async def test_input_that_does_not_exist_is_refused(adc: str, channel: int, problem: str):
    with (
        pytest.raises(DriverError, match=problem),
        Bench().converters.sample(AnalogSpec(adc, channel), print),
    ):
        pass


async def test_one_disturbed_transfer_is_no_news():
    async with Bench() as bench:
        heard = bench.listen("i2c/0")
        await until(lambda: heard)
        bench.i2c.failures = analog.ATTEMPTS - 1
        count = len(heard)
        await until(lambda: len(heard) > count + 2)

    assert not problems(heard)
    assert not [event for event in bench.events if isinstance(event, AdapterFailed)]


async def test_converter_that_goes_away_is_told_and_comes_back_by_itself_without_disturbing_the_other():
    async with Bench() as bench:
        gone, other = bench.listen("i2c/0"), bench.listen("spi/0")
        await until(lambda: gone and other)
        bench.i2c.is_there = False
        await until(lambda: problems(gone))
        count = len(other)
        await until(lambda: len(other) > count + 2)
        bench.i2c.is_there = True
        bench.events.clear()
        count = len(ratios(gone))
        await until(lambda: len(ratios(gone)) > count)
        await until(lambda: AdapterRecovered("adc/i2c") in bench.events)

    assert problems(gone)[0].startswith(
        "ads1115 at /dev/i2c-1, address 0x48: No such device or address; no chip"
    )
    assert not problems(other)


async def test_converter_that_is_missing_at_the_start_is_told_to_those_who_come_later():
    bench = Bench()
    bench.spi.is_there = False
    early = bench.listen("spi/0")
    async with bench:
        await until(lambda: problems(early))
        late = bench.listen("spi/1", every_s=60.0)
        await until(lambda: problems(late))

    assert not ratios(late)


async def test_frozen_converter_fails_before_it_can_pass_for_a_dry_floor(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(analog, "CHECK_EVERY_S", 0.05)
    async with Bench() as bench:
        heard = bench.listen("spi/0")
        await until(lambda: heard)
        bench.spi.stuck_code = 705
        await until(lambda: problems(heard))
        count = len(ratios(heard))
        await until(lambda: len(problems(heard)) >= 3)
        assert len(ratios(heard)) == count, "a frozen converter told something after its restart"
        bench.spi.stuck_code = None
        await until(lambda: len(ratios(heard)) > count)

    assert "it is frozen" in problems(heard)[0]


class HangingSpi(Mcp3008Chip):
    """A bus whose driver does not come back from the kernel."""

    def __init__(self) -> None:
        super().__init__([0.69] * 8)
        self.hangs = threading.Event()
        self.goes_on = threading.Event()

    def xfer2(self, values: list[int]) -> list[int]:
        if self.hangs.is_set():
            self.goes_on.wait(10)
        return super().xfer2(values)


async def test_bus_that_hangs_costs_one_thread_and_no_time_of_the_loop(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(analog, "ANSWER_S", 0.1)
    bench = Bench()
    bench.spi = spi = HangingSpi()
    async with bench:
        heard, other = bench.listen("spi/0"), bench.listen("i2c/0")
        await until(lambda: heard and other)
        threads = threading.active_count()
        spi.hangs.set()
        await until(lambda: len(set(problems(heard))) == 2)
        count = len(other)
        await until(lambda: len(other) > count + 10)
        most = threading.active_count()
        spi.hangs.clear()
        spi.goes_on.set()
        count = len(ratios(heard))
        await until(lambda: len(ratios(heard)) > count)

    assert most == threads
    assert problems(heard)[0] == "adc/spi: the bus has not answered for 0.1 s"
    assert "the bus still hangs" in problems(heard)[-1]
    assert not problems(other)


async def test_nothing_that_only_such_a_chip_needs_is_loaded_before_it_is_opened():
    program = (
        "import sys; from gateway.drivers.adc.analog import Converters;"
        "sys.exit(any(name in sys.modules for name in ('spidev', 'smbus2', 'ctypes')))"
    )
    process = await asyncio.create_subprocess_exec(__import__("sys").executable, "-c", program)

    assert await process.wait() == 0
