"""Checks of the GPIO lines: are they there and free, and what becomes of them without the gateway."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from gateway.cli.checks.finding import Finding, fail, ok, warn
from gateway.config.model import Config, ValveLines
from gateway.drivers.gpio.chips import CONSUMER, HEADER_LABELS, Chips
from gateway.drivers.gpio.config import Config as GpioConfig
from gateway.errors import DriverError

_PARAMETER = "module/{module}/parameters/persist_gpio_outputs"
_MODULES = {"pinctrl-rp1": "pinctrl_rp1"}
_DRIVER = "pinctrl_bcm2835"
_PULLED_UP = range(9)
_SERIAL = (14, 15)
_SEE = "see docs/hardware.md"


def inspect(config: Config, chips: Chips | None = None, sys: Path = Path("/sys")) -> list[Finding]:
    """Look at chip, lines and kernel; nothing on a simulated board.

    Args:
        config: As read.
        chips: Those of this machine.
        sys: Where the kernel tells its parameters.
    """
    if not isinstance(config.board, GpioConfig):
        return []
    chips = chips or Chips(config.board.chip)
    try:
        findings = [*_header(config, chips, sys), *_lines(config, chips)]
        for valve_id, lines in config.valves.items():
            findings += _at_boot(valve_id, lines, chips)
    finally:
        chips.drop(dead_only=False)
    return findings


def _header(config: Config, chips: Chips, sys: Path) -> Iterator[Finding]:
    try:
        path, label = chips.header()
    except DriverError as error:
        yield fail("gpio chip", str(error), "is this user in group gpio? see: gpiodetect")
        return
    yield ok("gpio chip", f"{path} ({label})")
    if config.valves:
        yield _release(label, sys)


def _release(label: str, sys: Path) -> Finding:
    """Tell what the kernel does with an output whose program has ended."""
    module = _MODULES.get(label, _DRIVER)
    try:
        persists = (sys / _PARAMETER.format(module=module)).read_text(encoding="ascii").strip() == "Y"
    except (OSError, ValueError):
        text = f"this kernel does not tell what it does with released outputs ({label})"
        return warn("outputs", text, f"try it: stop the gateway with a valve open; {_SEE}")
    if persists:
        return ok("outputs", "keep their level when the gateway ends")
    advice = f"remove dtparam=strict_gpiod, or boot with {module}.persist_gpio_outputs=1; {_SEE}"
    return warn("outputs", "fall to their pull resistors when the gateway ends", advice)


def _lines(config: Config, chips: Chips) -> Iterator[Finding]:
    count = ours = 0
    for user, line in used_lines(config):
        count += 1
        try:
            place = chips.locate(line)
            info = place.chip.get_line_info(place.offset)
        except (DriverError, OSError) as error:
            yield fail("gpio line", f"{user}: {error}", "correct its name; see: gpioinfo")
            continue
        if info.used and info.consumer != CONSUMER:
            text = f'{user}: {place} is held by "{info.consumer}"'
            yield fail("gpio line", text, "stop that program or driver, or choose another line")
        ours += info.used and info.consumer == CONSUMER
    yield ok("gpio lines", f"{count} configured, {ours} held by the gateway")


def used_lines(config: Config) -> Iterator[tuple[str, str]]:
    """Yield each line of the configuration with who uses it."""
    tables: list[tuple[str, object]] = [("indicator", config.indicator)]
    tables += [(f"valve.{key}", lines) for key, lines in config.valves.items()]
    tables += [(f"button.{key}", lines) for key, lines in config.buttons.items()]
    tables += [(f"meter.{key}", meter) for key, meter in config.meters.items()]
    tables += [(f"sensor.{key}", sensor.config) for key, sensor in config.sensors.items()]
    for user, table in tables:
        for field in dataclasses.fields(table):  # type: ignore[arg-type]  # each is a dataclass
            line = getattr(table, field.name)
            if (field.name == "line" or field.name.endswith("_line")) and isinstance(line, str):
                yield f"{user}.{field.name}", line


def _at_boot(valve_id: str, lines: ValveLines, chips: Chips) -> Iterator[Finding]:
    """Tell which coils are on between power-on and the start of the gateway, if no resistor prevents it."""
    for key, line in (("open_line", lines.open_line), ("close_line", lines.close_line)):
        if line is None:
            continue
        try:
            place = chips.locate(line)
        except DriverError:
            continue  # has its finding already
        if place.chip.get_info().label not in HEADER_LABELS:
            continue
        user = f"valve.{valve_id}.{key}: {place}"
        if place.offset in _SERIAL:
            yield warn("gpio line", f"{user} is the serial console at boot", f"use GPIO16 to 27; {_SEE}")
        elif (place.offset in _PULLED_UP) is not lines.coils_active_low:
            pull = "up" if place.offset in _PULLED_UP else "down"
            text = f"{user} is pulled {pull} from power-on, which energises its coil"
            yield warn("gpio line", text, f"fit a resistor against it, or use another line; {_SEE}")
