"""Configurations for the virtual Pi: zones with a sensor and a valve each, on real lines."""

from collections.abc import Mapping
from typing import Any

from tests.vm.harness.pi import VirtualPi

BOARD = """
[gateway]
id = "pi-1"
[board]
kind = "linux"
"""


def table(name: str, keys: Mapping[str, object]) -> str:
    """Return a table of TOML; values are strings, numbers or booleans."""
    lines = (
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
        for key, value in keys.items()
    )
    return "\n".join([f"[{name}]", *lines, ""])


def guarded(zone: str, valve_line: int, sensor: Mapping[str, object]) -> str:
    """Return a zone with one sensor, both of this name, that closes a spring-return valve at once."""
    return (
        f'[zone.{zone}]\nsensors = ["{zone}"]\nvalves = ["{zone}"]\nconfirm_s = 0.0\n'
        + table(f"valve.{zone}", {"kind": "spring_return", "open_line": f"GPIO{valve_line}", "travel_s": 1.0})
        + table(f"sensor.{zone}", sensor)
    )


def contact(line: int) -> dict[str, Any]:
    """Return the keys of a leak contact to ground."""
    return {"kind": "contact", "line": f"GPIO{line}"}


def hold_open(vm: VirtualPi, *valve_lines: int) -> None:
    """Leave these valves energised, as a gateway does that ran before: the next one finds them open."""
    vm.run("gpioset -c gpiochip0 -t 0 " + " ".join(f"{line}=1" for line in valve_lines))
