"""Answers that come after their time.

An answer of Modbus RTU names its unit, function and length, but not the registers that were asked for. Who
is slow and asked twice answers twice; the second answer must not be taken for that to the next question,
which may be one about other registers of the same number.
"""

from dataclasses import dataclass

from gateway.drivers.modbus.blocks import Block
from gateway.drivers.modbus.config import MOST_TIMEOUT_S


@dataclass(slots=True)
class _Owed:
    block: Block
    sent_s: float
    until_s: float


class Late:
    """Which units may still answer an earlier question, and for how long.

    Args:
        margin_s: What an answer may take longer than the one before.
    """

    def __init__(self, margin_s: float) -> None:
        self._margin_s = margin_s
        self._owed: dict[int, _Owed] = {}

    def unanswered(self, unit: int, block: Block, sent_s: float, now_s: float) -> None:
        """The unit was asked at `sent_s` and has not answered until now."""
        until_s = now_s + min(now_s - sent_s, MOST_TIMEOUT_S) + self._margin_s
        self._owed[unit] = _Owed(block, sent_s, until_s)

    def answered(self, unit: int, block: Block, sent_s: float, now_s: float) -> None:
        """An answer came: if the one before did not, it may be that, and this one comes as much later."""
        owed = self._owed.get(unit)
        if owed is None:
            return
        between_s = sent_s - owed.sent_s
        if owed.block == block and between_s <= MOST_TIMEOUT_S:
            owed.until_s = now_s + between_s + self._margin_s
        elif now_s >= owed.until_s:
            del self._owed[unit]

    def wait_s(self, unit: int, block: Block, now_s: float) -> float:
        """Return how long to wait before this question, so that no late answer passes for its answer."""
        owed = self._owed.get(unit)
        if owed is None or owed.block == block:
            return 0.0
        if (owed.block.table, owed.block.count) != (block.table, block.count):
            return 0.0
        return max(0.0, owed.until_s - now_s)
