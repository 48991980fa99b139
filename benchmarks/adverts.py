"""A street full of Bluetooth: writes keyed BTHome frames to a socket at a steady rate until it is closed."""

import socket
import sys
import time

from benchmarks.frames import ADDRESS, keyed_frame


def main() -> int:
    """Arguments: the descriptor and frames per second."""
    radio, period_s = socket.socket(fileno=int(sys.argv[1])), 1.0 / float(sys.argv[2])
    counter, due_s = 0, time.monotonic()
    try:
        while True:
            counter += 1
            radio.send(ADDRESS.encode() + keyed_frame(counter))
            due_s += period_s
            time.sleep(max(0.0, due_s - time.monotonic()))
    except OSError:
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
