"""`make bench`: all figures of docs/performance.md in one run.

python -m benchmarks [NAME ...]      NAME: a module of this folder; all of ALL by default

`peers` is run when it is named: it needs root, and a network the first time.
"""

import importlib
import platform
import signal
import sqlite3
import ssl
import sys
import time
from pathlib import Path

from benchmarks.report import show

ALL = (
    "reaction",
    "store",
    "kill",
    "kill_daemon",
    "drain",
    "footprint",
    "decode",
    "theengs",
    "bluetooth",
    "disk_thread",
    "deny",
    "handshake",
    "difference",
)
NAMED = ("peers",)


def main() -> int:
    """Print the table as it grows; misses do not fail the run, docs/performance.md explains them."""
    chosen = sys.argv[1:] or ALL
    unknown = [name for name in chosen if name not in (*ALL, *NAMED)]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are: {', '.join((*ALL, *NAMED))}", file=sys.stderr)
        return 64
    versions = f"{ssl.OPENSSL_VERSION}, SQLite {sqlite3.sqlite_version}"
    print(f"{_machine()}; Python {platform.python_version()}, {versions}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # daemon and broker end with us
    for name in chosen:
        begin_s = time.monotonic()
        print(f"\n{name}", flush=True)
        show(importlib.import_module(f"benchmarks.{name}").measure())
        print(f"     ({time.monotonic() - begin_s:.0f} s)", flush=True)
    return 0


def _machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(models)} x {models[0]}" if models else platform.machine()


if __name__ == "__main__":
    raise SystemExit(main())
