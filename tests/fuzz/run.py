"""`make fuzz`: fuzz radio decoders and bodies of enrolment with coverage guidance, each for some seconds.

    python tests/fuzz/run.py [SECONDS]

A crashing input is written to the folder `build/fuzz`, and the exit status is not 0.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SENSORS = ROOT / "gateway" / "drivers" / "sensors"
CRASHES = ROOT / "build" / "fuzz"
ENROLMENT = {
    "csr": 2048,
    "json": 2048,
    "pem": 1024,
    "public": 512,
    "certification": 512,
    "ek-certificate": 1024,
}
"""Targets of tests/fuzz/enrolment.py, and how many bytes are tried."""


def main() -> int:
    """Return the number of targets that crashed."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    CRASHES.mkdir(parents=True, exist_ok=True)
    kinds = sorted(path.stem for path in SENSORS.glob("*.py") if path.stem != "__init__")
    crashed = sum(_fuzz("decoders", kind, seconds, 64) != 0 for kind in kinds)
    return crashed + sum(_fuzz("enrolment", name, seconds, size) != 0 for name, size in ENROLMENT.items())


def _fuzz(module: str, name: str, seconds: int, max_bytes: int) -> int:
    options = [f"-max_total_time={seconds}", f"-max_len={max_bytes}", f"-artifact_prefix={CRASHES}/{name}-"]
    command = [sys.executable, "-m", f"tests.fuzz.{module}", name, str(CRASHES / "corpus" / name), *options]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
