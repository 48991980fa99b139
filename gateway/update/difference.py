"""Which parts of a file have to be asked for, in as few requests as is sensible."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from gateway.update.chunks import Chunk

GAP_BYTES: Final = 64 << 10
"""So much of what is here is rather asked for, too, than left out by another request (ADR 20)."""
REQUESTS_MAX: Final = 200
_WORTH_SHARE: Final = 0.8
"""Where more than this is missing, one request for all of it is the better one."""


@dataclass(slots=True)
class Run:
    """Neighbours that are all here, or all asked for."""

    is_here: bool
    chunks: list[Chunk]

    @property
    def end_bytes(self) -> int:
        """Where it ends, within the file."""
        return self.chunks[-1].end_bytes

    @property
    def length_bytes(self) -> int:
        """Of all of it."""
        return self.end_bytes - self.chunks[0].begin_bytes


def runs(chunks: Sequence[Chunk], is_here: Callable[[Chunk], bool]) -> list[Run]:
    """Return what to copy and what to ask for, in order; nothing if it is better to ask for all at once.

    Args:
        chunks: What is wanted.
        is_here: Asked once for each.
    """
    found = _joined([Run(here, list(group)) for here, group in groupby(chunks, is_here)])
    asked = [run.length_bytes for run in found if not run.is_here]
    whole_bytes = sum(run.length_bytes for run in found)
    is_worth_it = len(asked) <= REQUESTS_MAX and sum(asked) <= _WORTH_SHARE * whole_bytes
    return found if is_worth_it else []


def _joined(found: list[Run]) -> list[Run]:
    joined: list[Run] = []
    for at, run in enumerate(found):
        is_gap = run.is_here and 0 < at < len(found) - 1 and run.length_bytes <= GAP_BYTES
        is_here = run.is_here and not is_gap
        if joined and joined[-1].is_here == is_here:
            joined[-1].chunks += run.chunks
        else:
            joined.append(Run(is_here, run.chunks))
    return joined
