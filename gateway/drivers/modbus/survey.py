"""Looks at what is on a line, for commissioning: which units answer, and what they may be."""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass

from gateway.domain.ports import Failure, Register
from gateway.drivers.modbus.answer import Refusal
from gateway.drivers.modbus.blocks import Block, blocks, most_at_once
from gateway.drivers.modbus.config import Config
from gateway.drivers.modbus.profile import Profile, mismatch, scan_registers
from gateway.drivers.modbus.thread import Requester

_FIRST = Block("input", 0, 1)
"""What every device answers: with a register, or with a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was heard of a unit.

    Args:
        profiles: Names of the profiles that its registers do not contradict.
        problem: What came instead of an answer; "" if it answered.
    """

    unit: int
    profiles: tuple[str, ...] = ()
    problem: str = ""


async def scan(
    line: Requester, config: Config, units: Iterable[int], profiles: Mapping[str, Profile]
) -> AsyncIterator[tuple[int, Found | None]]:
    """Yield each unit with what was heard of it; None for silence. Raises DriverError."""
    for unit in units:
        yield unit, await _look(line, config, unit, profiles)


async def _look(line: Requester, config: Config, unit: int, profiles: Mapping[str, Profile]) -> Found | None:
    first = await line.read(unit, _FIRST, config.timeout_s)
    if isinstance(first, Failure) and not isinstance(first, Refusal):
        return None if first.problem == "no answer" else Found(unit=unit, problem=first.problem)
    known: dict[Block, list[int] | Failure] = {_FIRST: first}
    fitting = []
    for name, profile in profiles.items():
        values: dict[Register, int] = {}
        for block in blocks(scan_registers(profile), most_at_once(config)):
            if block not in known:
                known[block] = await line.read(unit, block, config.timeout_s)
            answer = known[block]
            values |= zip(block.registers(), answer, strict=True) if isinstance(answer, list) else ()
        if values.keys() >= set(scan_registers(profile)) and not mismatch(profile, values):
            fitting.append(name)
    return Found(unit=unit, profiles=tuple(fitting))


async def read(
    line: Requester, config: Config, unit: int, registers: Iterable[Register]
) -> dict[Register, int] | Failure:
    """Return these registers of a unit, or why there are none; asks twice. Raises DriverError."""
    values: dict[Register, int] = {}
    for block in blocks(registers, most_at_once(config)):
        answer = await line.read(unit, block, config.timeout_s)
        if isinstance(answer, Failure) and not isinstance(answer, Refusal):
            answer = await line.read(unit, block, config.timeout_s)
        if isinstance(answer, Failure):
            return answer
        values |= zip(block.registers(), answer, strict=True)
    return values
