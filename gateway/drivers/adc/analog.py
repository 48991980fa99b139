"""All converters of one gateway: samples go from the thread of each to whoever wants them.

    worker's thread   check now and then | channel 0 | channel 3 | ...
          ^                                        |
          +-- due channels            ratios or Failure --> on_sample, in the loop

A converter that fails costs its own samplers only. They are told at once; the part ends with DriverError,
its bulkhead starts it again, and samples go on as soon as the chip answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from gateway.domain.ports import AnalogSpec, Failure
from gateway.drivers.adc.ads1115 import Ads1115
from gateway.drivers.adc.chip import Chip
from gateway.drivers.adc.config import CHANNELS, Config
from gateway.drivers.adc.mcp3008 import Mcp3008
from gateway.drivers.adc.worker import Worker
from gateway.errors import DriverError

ANSWER_S = 5.0
"""A round that takes longer hangs: the slowest has 12 conversions of 140 ms."""

CHECK_EVERY_S = 10.0
"""How often a converter must prove that it is not frozen."""

ATTEMPTS = 3
"""One disturbed transfer on the bus is no news."""

T = TypeVar("T")
OnSample = Callable[[float | Failure], None]


@dataclass(slots=True, eq=False)
class _Sampler:
    spec: AnalogSpec
    on_sample: OnSample
    due_s: float


class Converters:
    """Implements ports.Analog.

    Args:
        configs: By id.
        chip_of: Makes the chip of a converter, not open yet.
    """

    def __init__(
        self, configs: Mapping[str, Config], chip_of: Callable[[Config], Chip] | None = None
    ) -> None:
        self._converters = {
            name: _Converter(name, config, chip_of or _chip_of) for name, config in configs.items()
        }

    def sample(self, spec: AnalogSpec, on_sample: OnSample, /) -> AbstractContextManager[None]:
        """See ports.Analog."""
        if spec.adc not in self._converters:
            known = ", ".join(self._converters) or "none"
            raise DriverError(f"there is no [adc.{spec.adc}]; the gateway has {known}")
        return self._converters[spec.adc].sample(spec, on_sample)

    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return what is to run, by the adapter's name."""
        return {f"adc/{name}": converter.run for name, converter in self._converters.items()}


def _chip_of(config: Config) -> Chip:
    return Mcp3008(config) if config.kind == "mcp3008" else Ads1115(config)


class _Converter:
    """One converter; its samplers survive its failures."""

    def __init__(self, name: str, config: Config, chip_of: Callable[[Config], Chip]) -> None:
        self._name = name
        self._config = config
        self._chip_of = chip_of
        self._worker = Worker(f"adc/{name}")
        self._samplers: list[_Sampler] = []
        self._came = asyncio.Event()
        self._problem = ""
        self._checked_s = 0.0

    @contextmanager
    def sample(self, spec: AnalogSpec, on_sample: OnSample) -> Iterator[None]:
        inputs = CHANNELS[self._config.kind]
        if not 0 <= spec.channel < inputs or spec.channel == self._config.supply_channel:
            use = " and one measures the supply" if self._config.supply_channel is not None else ""
            raise DriverError(
                f"adc.{self._name} has no free input {spec.channel}; "
                f"an {self._config.kind} has 0 to {inputs - 1}{use}"
            )
        loop = asyncio.get_running_loop()
        sampler = _Sampler(spec, on_sample, loop.time())
        self._samplers.append(sampler)
        self._came.set()
        if self._problem:
            loop.call_soon(self._tell, sampler, Failure(self._problem))
        try:
            yield
        finally:
            self._samplers.remove(sampler)

    async def run(self) -> None:
        """Sample until cancelled. Raises DriverError when the converter fails."""
        try:
            await self._work()
        except DriverError as error:
            self._problem = str(error)
            for sampler in tuple(self._samplers):
                self._tell(sampler, Failure(self._problem))
            raise

    async def _work(self) -> None:
        if self._worker.is_busy:
            raise DriverError(f"adc/{self._name}: the bus still hangs; restart the machine if it goes on")
        chip = self._chip_of(self._config)
        try:
            await self._worker.call(chip.open, ANSWER_S)
            self._checked_s = -CHECK_EVERY_S
            while True:
                await self._round(chip, await self._due())
        finally:
            self._worker.submit(chip.close)

    async def _due(self) -> list[_Sampler]:
        """Wait until a sampler is due; return all that are."""
        loop = asyncio.get_running_loop()
        while True:
            due = [sampler for sampler in self._samplers if sampler.due_s <= loop.time()]
            if due:
                return due
            self._came.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min((s.due_s for s in self._samplers), default=None)):
                    await self._came.wait()

    async def _round(self, chip: Chip, due: list[_Sampler]) -> None:
        now_s = asyncio.get_running_loop().time()
        is_check = now_s >= self._checked_s + CHECK_EVERY_S
        channels = sorted({sampler.spec.channel for sampler in due})
        ratios = await self._worker.call(lambda: _read(chip, channels, is_check=is_check), ANSWER_S)
        if is_check:
            self._checked_s = now_s
        self._problem = ""
        for sampler in due:
            sampler.due_s = max(sampler.due_s + sampler.spec.every_s, asyncio.get_running_loop().time())
            self._tell(sampler, ratios[sampler.spec.channel])

    def _tell(self, sampler: _Sampler, heard: float | Failure) -> None:
        if sampler in self._samplers:
            sampler.on_sample(heard)


def _read(chip: Chip, channels: list[int], *, is_check: bool) -> dict[int, float | Failure]:
    """Sample the channels, in the worker's thread. Raises DriverError."""
    if is_check:
        # before the samples: a frozen chip must not pass for a dry floor
        for channel in channels:
            _persistently(chip.check, channel)
    return {channel: _persistently(chip.ratio, channel) for channel in channels}


def _persistently(do: Callable[[int], T], channel: int) -> T:
    for _ in range(ATTEMPTS - 1):
        with suppress(DriverError):
            return do(channel)
    return do(channel)
