"""kill -9 at random points while the store fills and drains; a pipe is the cloud's end.

python -m benchmarks.kill [kills]
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Row, at_most, show
from tests.fakes.killing import kill_again_and_again

KILLS = 200


def measure(kills: int = KILLS) -> Iterator[Row]:
    """Yield what was lost, doubled or out of order."""
    with tempfile.TemporaryDirectory(dir=".", prefix=".bench-") as folder:
        verdict = kill_again_and_again(Path(folder) / "gateway.db", kills, seed=1)
    promised = f"{kills} kills, {verdict.promised:,} promised, {verdict.received:,} received"
    yield at_most("lost after it was called durable", len(verdict.lost), 0, "msg", promised)
    yield at_most("out of order within a priority", verdict.disordered, 0, "msg")
    detail = "under way at the kill, sent again with the same id: the receiver drops it"
    yield Row("received twice, per kill", verdict.doubled / kills, "msg", detail=detail)


def main() -> int:
    """Print the rows."""
    show(measure(int(sys.argv[1]) if len(sys.argv) > 1 else KILLS))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
