"""Which registers to read in one request."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.domain.ports import Register
from gateway.drivers.modbus.config import Config

MOST_REGISTERS = 125
"""In one request (Modbus application protocol 1.1b3, 6.3 and 6.4)."""

LONGEST_ANSWER_S = 0.25
"""On the line, so that a slow port is not held by one long answer."""

HEAD_BYTES = 5
"""Address, function, count and CRC: what an answer has beside its registers."""


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring registers of a table, from `start`."""

    table: str
    start: int
    count: int

    @property
    def answer_bytes(self) -> int:
        """Length of the answer."""
        return HEAD_BYTES + 2 * self.count

    def registers(self) -> list[Register]:
        """Return its registers in order."""
        return [Register(self.table, self.start + i) for i in range(self.count)]


def most_at_once(config: Config) -> int:
    """Return how many registers the port reads in one request."""
    fitting = int(LONGEST_ANSWER_S / config.wire_s(1) - HEAD_BYTES) // 2
    return max(1, min(MOST_REGISTERS, fitting))


def blocks(registers: Iterable[Register], most: int) -> list[Block]:
    """Return as few blocks as hold these registers and no others: a device may refuse what lies in a gap."""
    made: list[Block] = []
    for table, address in sorted(set(registers)):
        if made and made[-1].table == table:
            last = made[-1]
            if address == last.start + last.count and last.count < most:
                made[-1] = replace(last, count=last.count + 1)
                continue
        made.append(Block(table, address, 1))
    return made
