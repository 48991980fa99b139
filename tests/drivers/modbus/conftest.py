"""A port of the gateway on a line with leak detectors."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from gateway.domain.ports import Failure, PollSpec, Register
from gateway.drivers.modbus.config import Config
from gateway.drivers.modbus.port import Port
from tests.fakes.rs485 import Rs485, Slave
from tests.fakes.waiting import until

STATUS = tuple(Register("input", address) for address in range(3))


class Bench:
    """A running port; `heard` holds the answers of each unit with the time since the start."""

    def __init__(self, line: Rs485, port: Port) -> None:
        self.line = line
        self.port = port
        self.heard: dict[int, list[tuple[float, Mapping[Register, int] | Failure]]] = {}
        self.running: asyncio.Task[None] | None = None
        self._polls = ExitStack()
        self._begin_s = asyncio.get_running_loop().time()

    def poll(self, unit: int, registers: tuple[Register, ...] = STATUS, every_s: float = 0.5) -> None:
        heard = self.heard.setdefault(unit, [])
        spec = PollSpec("rs485", unit, registers, every_s)
        self._polls.enter_context(self.port.poll(spec, lambda answer: heard.append((self.now_s, answer))))

    def start(self) -> None:
        self.running = asyncio.get_running_loop().create_task(self.port.run())

    async def stop(self) -> None:
        self._polls.close()
        if self.running is not None:
            self.running.cancel()
            await asyncio.wait([self.running])

    @property
    def now_s(self) -> float:
        return asyncio.get_running_loop().time() - self._begin_s

    def good(self, unit: int) -> list[tuple[float, Mapping[Register, int]]]:
        return [(at_s, said) for at_s, said in self.heard[unit] if not isinstance(said, Failure)]

    def problems(self, unit: int) -> list[str]:
        return [said.problem for _, said in self.heard[unit] if isinstance(said, Failure)]

    async def until(self, unit: int, count: int = 1) -> None:
        """Wait until the unit has been heard of so often, well or ill."""
        await until(lambda: len(self.heard[unit]) >= count)

    async def until_good(self, unit: int, count: int = 1) -> None:
        """Wait until the unit has answered so often."""
        await until(lambda: len(self.good(unit)) >= count)


@asynccontextmanager
async def bench_of(folder: Path, slaves: dict[int, Slave], timeout_s: float = 0.2) -> AsyncIterator[Bench]:
    """A bench whose port is not running yet."""
    line = Rs485(folder, slaves)
    line.plug()
    bench = Bench(line, Port(Config(device=line.device, timeout_s=timeout_s)))
    try:
        yield bench
    finally:
        await bench.stop()
        line.unplug()
