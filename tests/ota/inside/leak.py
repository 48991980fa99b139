"""SENSOR LINE VALVE ROUNDS: wet a sensor so often; print the median seconds until the valve's line changed.

Between two rounds people dry it, reset the alarm and open the valve; after the last it stays wet. With no
round at all they only do that.
"""

import statistics
import sys
import threading
import time
from contextlib import suppress

sys.path.insert(0, "/usr/share/reed-gateway")

from pathlib import Path

from gateway.control.client import Client
from gateway.errors import ControlError
from gateway.sim.client import Visitor
from gateway.sim.hands import Soak
from gateway.sim.happening import OutputSet

BUILDING = Path("/run/reed-building/socket")
FOR_S, WITHIN_S = 3600.0, 240.0


class Witness:
    """Notes when an output line changes."""

    def __init__(self, line: str) -> None:
        self._line = line
        self._changed = threading.Event()
        self._at_s = 0.0
        threading.Thread(target=self._watch, daemon=True).start()
        time.sleep(2.0)

    def after(self, sensor: str) -> float:
        """Make it wet; return the seconds until the line changes."""
        self._changed.clear()
        with Visitor(BUILDING) as hand:
            wet_s = time.monotonic()
            hand.poke(Soak(sensor, FOR_S))
            if not self._changed.wait(WITHIN_S):
                sys.exit(f"{self._line} did not change; {hand.look()['outputs']}")
        return self._at_s - wet_s

    def _watch(self) -> None:
        with Visitor(BUILDING) as visitor:
            for happening in visitor.observe():
                if isinstance(happening, OutputSet) and happening.line == self._line:
                    self._at_s = time.monotonic()
                    self._changed.set()


def tidy(sensor: str, valve: str) -> None:
    """Dry it, reset what is latched, open the valve."""
    with Visitor(BUILDING) as hand:
        hand.poke(Soak(sensor, 0.01))
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        time.sleep(1.0)
        with suppress(ControlError), Client(Path("/run/reed/org.reed.Gateway")) as client:
            view = client.call("GetView")["view"]
            if latched := [shown["id"] for shown in view["alarms"] if shown["latched"]]:
                [*client.stream("ResetAlarm", timeout_s=30.0, alarm=latched[0], cause="test")]
            elif view["valves"][valve]["state"] == "open":
                return
            else:
                [*client.stream("ActuateValve", timeout_s=60.0, valve=valve, wish="open", cause="test")]
    sys.exit("the valve does not open")


def main(sensor: str, line: str, valve: str, rounds: str) -> None:
    witness = Witness(line)
    taken_s: list[float] = []
    for number in range(int(rounds)):
        if number:
            tidy(sensor, valve)
        taken_s.append(witness.after(sensor))
    if not taken_s:
        tidy(sensor, valve)
    sys.stdout.write(f"{statistics.median(taken_s) if taken_s else 0:.4f}\n")


main(*sys.argv[1:])
