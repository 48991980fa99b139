"""`make fuzz`: fuzz every radio decoder with coverage guidance for some seconds each.

    python tests/fuzz/run.py [SECONDS]

A crashing input is written to the folder `build/fuzz`, and the exit status is not 0.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SENSORS = ROOT / "gateway" / "drivers" / "sensors"
CRASHES = ROOT / "build" / "fuzz"


def main() -> int:
    """Return the number of kinds that crashed."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    CRASHES.mkdir(parents=True, exist_ok=True)
    kinds = sorted(path.stem for path in SENSORS.glob("*.py") if path.stem != "__init__")
    return sum(_fuzz(kind, seconds) != 0 for kind in kinds)


def _fuzz(kind: str, seconds: int) -> int:
    options = [f"-max_total_time={seconds}", "-max_len=64", f"-artifact_prefix={CRASHES}/{kind}-"]
    command = [sys.executable, "-m", "tests.fuzz.decoders", kind, str(CRASHES / "corpus" / kind), *options]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
