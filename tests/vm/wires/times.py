"""The key times of the stories: said at once, and kept for docs/performance.md."""

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.vm.harness.image import CACHE

_FEW = 5


class Times:
    """Collects times under the words that describe them, for `times.md` and `times.json` in `folder`."""

    def __init__(self, folder: Path = CACHE) -> None:
        self._folder = folder
        self._known: dict[str, dict[str, float]] = {}

    def note(self, what: str, *seconds: float) -> None:
        """Say it, and write it down."""
        self._known[what] = _summary(sorted(seconds))
        print(f"\n  {what}: {_text(self._known[what])}", file=sys.__stderr__, flush=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "times.json").write_text(json.dumps(self._known, indent=1) + "\n")
        rows = [f"| {name} | {_text(figures)} |" for name, figures in self._known.items()]
        (self._folder / "times.md").write_text("\n".join(["| in the virtual Pi | |", "|---|---|", *rows, ""]))


def _summary(ordered: Sequence[float]) -> dict[str, float]:
    count = len(ordered)
    return {
        "n": count,
        "min_s": ordered[0],
        "p50_s": statistics.median(ordered),
        "p90_s": ordered[min(count - 1, int(0.9 * count))],
        "max_s": ordered[-1],
    }


def _text(figures: dict[str, float]) -> str:
    if figures["n"] == 1:
        return _unit(figures["p50_s"])
    if figures["n"] < _FEW:
        return f"{_unit(figures['min_s'])} to {_unit(figures['max_s'])}, n={figures['n']:.0f}"
    named = [f"{_unit(figures[f'{name}_s'])} ({name})" for name in ("p50", "p90", "max")]
    return f"{', '.join(named)}, n={figures['n']:.0f}"


def _unit(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"
