"""The key times of the stories: said at once, and kept for docs/performance.md."""

import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.vm.harness.image import CACHE, alone

_FEW = 5


class Times:
    """Collects times under the words that describe them, for `times.md` and `times.json` in `folder`."""

    def __init__(self, folder: Path = CACHE) -> None:
        self._folder = folder
        self._file = folder / "times.json"
        # two processes share one run, each with a Pi of its own
        self._run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))

    def note(self, what: str, *seconds: float) -> None:
        """Say it, and write it down."""
        figures = _summary(sorted(seconds))
        print(f"\n  {what}: {_text(figures)}", file=sys.__stderr__, flush=True)
        with alone(self._folder):
            known = {**self._so_far(), what: figures}
            self._file.write_text(json.dumps({"run": self._run, "times": known}, indent=1) + "\n")
            rows = [f"| {name} | {_text(known[name])} |" for name in sorted(known)]
            text = "\n".join(["| in the virtual Pi | |", "|---|---|", *rows, ""])
            (self._folder / "times.md").write_text(text)

    def _so_far(self) -> dict[str, dict[str, float]]:
        try:
            noted = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        times: dict[str, dict[str, float]] = noted["times"] if noted.get("run") == self._run else {}
        return times


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
