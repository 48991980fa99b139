"""Lines that came from afar and may be lines in use, under another name.

A line has many names: "GPIO17", "17", "gpiochip0:17", "pinctrl-bcm2711:GPIO17", and on mainline kernels that
of its second use. Two users of one line are found when the second one asks for it, and that could be the
valve. Only a person at the building can look; so what cannot be told apart is taken for the same line.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from gateway.config.model import Config
from gateway.drivers.gpio.chips import HEADER_LABELS
from gateway.drivers.gpio.config import Config as GpioConfig


@dataclass(frozen=True, slots=True)
class _Line:
    """A line: its chip as it is called, "" for none, and what it is called there."""

    chip: str
    name: str
    is_header: bool

    @property
    def number(self) -> int | None:
        digits = self.name.removeprefix("GPIO")
        return int(digits) if digits.isdecimal() else None


def lines(old: Config, new: Config) -> Iterator[str]:
    """Yield each line that `new` adds and that may be another one's, as "key: why"."""
    board = new.board
    if not isinstance(board, GpioConfig):  # a simulated building has exact names
        return
    before = dict(_lines(old))
    after = dict(_lines(new))
    for key in after.keys() - before.keys():
        added = _parsed(after[key], board)
        users = [
            other
            for other, line in sorted(after.items())
            if other != key and _may_be_one(added, _parsed(line, board))
        ]
        if users:
            yield f'{key}: "{after[key]}" may be the line of {", ".join(users)}; wire it at the building'


def _lines(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the key of each line and its name."""
    yield from _of("indicator", config.indicator)
    for name, sensor in config.sensors.items():
        yield from _of(f"sensor.{name}", sensor.config)
    for word, things in (("valve", config.valves), ("button", config.buttons), ("meter", config.meters)):
        for name, thing in things.items():
            yield from _of(f"{word}.{name}", thing)


def _of(where: str, table: object) -> Iterator[tuple[str, str]]:
    for field in fields(table):  # type: ignore[arg-type]  # every table is a dataclass
        line = getattr(table, field.name)
        if isinstance(line, str) and (field.name == "line" or field.name.endswith("_line")):
            yield f"{where}.{field.name}", line


def _parsed(line: str, board: GpioConfig) -> _Line:
    chip, _, name = line.rpartition(":")
    return _Line(chip, name, (chip or board.chip) in ("", *HEADER_LABELS))


def _may_be_one(one: _Line, other: _Line) -> bool:
    are_known = all(line.is_header or _has_label(line) for line in (one, other))
    if are_known and one.chip != other.chip and not (one.is_header and other.is_header):
        return False
    if one.number is None and other.number is None:
        return one.name == other.name
    return one.number is None or other.number is None or one.number == other.number


def _has_label(line: _Line) -> bool:
    """Tell whether its chip is named by its label, which only one has; any chip may have a number or path."""
    return bool(line.chip) and not line.chip.startswith(("/", "gpiochip"))
