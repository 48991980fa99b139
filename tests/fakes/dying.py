"""The gateway, killed at a step of what it changes in a folder (-m tests.fakes.dying STEP FOLDER run)."""

import sys
from pathlib import Path

from gateway.__main__ import main
from tests.fakes import faults

if __name__ == "__main__":
    step, folder = int(sys.argv[1]), Path(sys.argv[2])
    faults.watch(folder, faults.kill(step))
    sys.argv[1:] = sys.argv[3:]
    sys.exit(main())
