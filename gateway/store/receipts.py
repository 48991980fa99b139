"""What the cloud holds: for each epoch a watermark and ranges above it. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias

Span: TypeAlias = tuple[int, int]

_MAX_SPANS = 1_000


class Receipts:
    """Receipts that wait to be applied; adding is idempotent and in any order."""

    def __init__(self) -> None:
        self._spans: dict[int, list[Span]] = {}

    def __bool__(self) -> bool:
        return bool(self._spans)

    def __iter__(self) -> Iterator[tuple[int, Span]]:
        """Yield (epoch, (first, last)); ranges of one epoch do not touch."""
        return ((epoch, span) for epoch, spans in self._spans.items() for span in spans)

    def add(self, epoch: int, spans: Iterable[Span]) -> None:
        """Take note of ranges of seqs, both ends included."""
        held = [*self._spans.get(epoch, []), *(span for span in spans if 0 <= span[0] <= span[1])]
        if held:
            self._spans[epoch] = _merged(held)[:_MAX_SPANS]

    def update(self, other: "Receipts") -> None:
        """Take note of all that another holds."""
        for epoch, span in other:
            self.add(epoch, [span])

    def covers(self, epoch: int, seq: int) -> bool:
        """Tell whether this message is with the cloud."""
        spans = self._spans.get(epoch, [])
        index = bisect_right(spans, (seq, float("inf"))) - 1
        return index >= 0 and spans[index][1] >= seq


def _merged(spans: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def runs(seqs: Iterable[int]) -> list[Span]:
    """Return ascending seqs as ranges without holes."""
    ordered = list(seqs)
    if not ordered:
        return []
    breaks = [index for index, (left, right) in enumerate(pairwise(ordered), 1) if right != left + 1]
    edges = [0, *breaks, len(ordered)]
    return [(ordered[start], ordered[end - 1]) for start, end in pairwise(edges)]
