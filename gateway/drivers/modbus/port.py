"""One serial port: asks its devices in turn and hands the answers to whoever wants them.

All wishes for one device are one round: neighbouring registers go in one request, also for several sensors.
A device that refuses such a request is asked for each sensor apart from then on, so that a wrong profile
costs its own sensor only.
"""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.domain.ports import Failure, PollSpec, Register
from gateway.drivers.modbus import turns
from gateway.drivers.modbus.answer import Refusal
from gateway.drivers.modbus.blocks import Block, blocks, most_at_once
from gateway.drivers.modbus.config import MOST_TIMEOUT_S, Config
from gateway.drivers.modbus.thread import LineThread, Requester
from gateway.errors import DriverError

OnAnswer = Callable[[Mapping[Register, int] | Failure], None]

_WORTH_WAITING = 0.5
"""A second attempt needs at least this part of the usual time."""

_LET_GO_S, _LOOKS = 1.0, 20
"""A line that was closed has this time to let go of its port before it counts as hanging."""


@dataclass(slots=True, eq=False)
class _Wish:
    spec: PollSpec
    on_answer: OnAnswer


@dataclass(slots=True)
class _Device:
    turn: turns.Turn
    wishes: list[_Wish] = field(default_factory=list)
    apart: bool = False


class Port:
    """A port and what is wanted from the devices at it; all in the gateway's loop.

    Args:
        config: The port.
        line_of: Makes the line from the configuration and what to call when it is lost.
    """

    def __init__(
        self, config: Config, line_of: Callable[[Config, Callable[[], None]], Requester] = LineThread
    ) -> None:
        self._config = config
        self._line_of = line_of
        self._most = most_at_once(config)
        self._devices: dict[int, _Device] = {}
        self._changed = asyncio.Event()
        self._silent_until_s = -math.inf
        self._line: Requester | None = None

    @contextmanager
    def poll(self, spec: PollSpec, on_answer: OnAnswer) -> Iterator[None]:
        """See ports.Fieldbus."""
        wish = _Wish(spec, on_answer)
        device = self._devices.setdefault(spec.unit, _Device(turns.Turn(spec.every_s, 0.0)))
        device.wishes.append(wish)
        self._wanted(spec.unit)
        try:
            yield
        finally:
            device.wishes.remove(wish)
            self._wanted(spec.unit)

    async def run(self) -> None:
        """Ask the devices in turn until cancelled.

        Raises:
            DriverError: The port cannot be opened or has gone away; all who wait for an answer are told.
        """
        try:
            await self._serve(await self._new_line())
        except DriverError as error:
            for device in list(self._devices.values()):
                _tell(list(device.wishes), {}, Failure(str(error)))
            raise

    async def _new_line(self) -> Requester:
        """Return a line; never a second one while the thread of the last hangs in the kernel."""
        for _ in range(_LOOKS):
            if self._line is None or self._line.has_ended:
                self._line = self._line_of(self._config, self._changed.set)
                return self._line
            await asyncio.sleep(_LET_GO_S / _LOOKS)
        raise DriverError(f"{self._config.device}: its driver still hangs; unplug the adapter")

    async def _serve(self, line: Requester) -> None:
        try:
            await line.open()
            for device in self._devices.values():
                device.turn.due_s = 0.0
            while True:
                await self._next(line)
        finally:
            line.close()

    def _wanted(self, unit: int) -> None:
        device = self._devices[unit]
        if not device.wishes:
            del self._devices[unit]
            return
        device.turn.every_s = min(wish.spec.every_s for wish in device.wishes)
        device.turn.due_s = 0.0
        device.apart = False
        self._changed.set()

    async def _next(self, line: Requester) -> None:
        now_s = asyncio.get_running_loop().time()
        devices = ((unit, device.turn) for unit, device in self._devices.items())
        unit = turns.choose(devices, now_s, self._silent_until_s)
        if unit is not None:
            await self._ask(line, unit, self._devices[unit])
            return
        self._changed.clear()
        due_s = min((device.turn.due_s for device in self._devices.values()), default=None)
        try:
            async with asyncio.timeout_at(due_s):
                await self._changed.wait()
        except TimeoutError:
            return
        await line.check()

    async def _ask(self, line: Requester, unit: int, device: _Device) -> None:
        """One round for one device."""
        values: dict[Register, int] = {}
        failure: Failure | None = None
        asked = list(device.wishes)
        for block in self._blocks(device):
            answer = await self._read(line, unit, block, again=device.turn.misses == 0)
            if isinstance(answer, list):
                values |= zip(block.registers(), answer, strict=True)
                continue
            failure = answer
            if not isinstance(answer, Refusal):
                break  # it is silent: what else is wanted of it waits for the next round
            device.apart = device.apart or len(device.wishes) > 1
        now_s = asyncio.get_running_loop().time()
        if failure is None or isinstance(failure, Refusal):
            device.turn.answered(now_s)
        else:
            device.turn.missed(now_s)
            self._silent_until_s = now_s
        _tell([wish for wish in asked if wish in device.wishes], values, failure)

    def _blocks(self, device: _Device) -> list[Block]:
        if not device.apart:
            return blocks((reg for wish in device.wishes for reg in wish.spec.registers), self._most)
        apart = [block for wish in device.wishes for block in blocks(wish.spec.registers, self._most)]
        return list(dict.fromkeys(apart))

    async def _read(self, line: Requester, unit: int, block: Block, *, again: bool) -> list[int] | Failure:
        """Ask, and once more if `again` and if there is time: one frame may get lost."""
        loop = asyncio.get_running_loop()
        await line.settle(unit, block)
        begin_s, wait_s = loop.time(), self._config.timeout_s
        answer = await line.read(unit, block, wait_s)
        if isinstance(answer, Failure) and not isinstance(answer, Refusal) and again:
            left_s = begin_s + MOST_TIMEOUT_S - loop.time() - self._config.wire_s(block.answer_bytes)
            if left_s >= wait_s * _WORTH_WAITING:
                return await line.read(unit, block, min(wait_s, left_s))
        return answer


def _tell(wishes: list[_Wish], values: Mapping[Register, int], failure: Failure | None) -> None:
    for wish in wishes:
        registers = wish.spec.registers
        if all(register in values for register in registers):
            wish.on_answer({register: values[register] for register in registers})
        else:
            wish.on_answer(failure or Failure("no answer"))
