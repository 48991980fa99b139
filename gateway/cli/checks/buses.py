"""Checks of the buses' device files: serial ports with Modbus devices, converters on I2C and SPI."""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.cli.checks.finding import Finding, fail, ok, warn
from gateway.config.model import Config

BY_ID = Path("/dev/serial/by-id")
"""Where each plugged-in port has a name that stays."""

_CHANGING = re.compile(r"/dev/tty(USB|ACM)\d+")
_SWITCHED_ON = {"mcp3008": "dtparam=spi=on", "ads1115": "dtparam=i2c_arm=on"}


def inspect(config: Config, by_id: Path = BY_ID) -> list[Finding]:
    """Look at each device file that the configuration names.

    Args:
        config: As read.
        by_id: Where the ports of this machine are listed.
    """
    return [*_ports(config, by_id), *_converters(config)]


def _ports(config: Config, by_id: Path) -> Iterator[Finding]:
    for name, port in config.serial.items():
        user = f"serial.{name}.device"
        if problem := _problem(port.device):
            there = ", ".join(str(path) for path in sorted(by_id.glob("*")))
            advice = f"correct its name; there is: {there}" if there else "plug it in; no port is there"
            yield fail("serial port", f"{user}: {problem}", advice)
        elif _CHANGING.fullmatch(str(port.device)):
            text = f"{user}: {port.device} may be another one after the next start"
            yield warn("serial port", text, f"name it as it stands in {by_id}")
        else:
            yield ok("serial port", f"{port.device} is there; what answers on it: reed-gateway modbus scan")


def _converters(config: Config) -> Iterator[Finding]:
    for name, chip in config.adc.items():
        if problem := _problem(chip.device):
            advice = f"switch its bus on: {_SWITCHED_ON[chip.kind]} in config.txt; see docs/hardware.md"
            yield fail("converter", f"adc.{name}.device: {problem}", advice)
        else:
            yield ok("converter", f"the bus of adc.{name} is there: {chip.device}")


def _problem(device: Path) -> str:
    """Return what is wrong with a device file, or nothing."""
    try:
        mode = device.stat().st_mode
    except OSError as error:
        return f"{device}: {error.strerror}"
    return "" if stat.S_ISCHR(mode) else f"{device} is no device file"
