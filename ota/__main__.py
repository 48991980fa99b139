"""Entry point of `reed-ota`."""

import sys

from ota.cli import main

if __name__ == "__main__":
    sys.exit(main())
