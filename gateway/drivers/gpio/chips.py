"""GPIO chips and their lines: which device file, which offset, and who holds it.

A chip is found by its label, because its number depends on the order in which the kernel found it.
"""

import errno
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from gateway.errors import DriverError

if TYPE_CHECKING:
    import gpiod

CONSUMER = "reed-gateway"
"""What `gpioinfo` shows as the user of our lines."""

HEADER_LABELS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
"""Chips of a 40-pin header, where line 17 is GPIO17: Pi 5; Pi 4; Pi 3, Zero 2 and older."""

_MODULE = "gpiod"


class Place(NamedTuple):
    """Where a line is; `str` names it for a person."""

    chip: "gpiod.Chip"
    path: str
    offset: int
    line: str

    def __str__(self) -> str:
        return f'line "{self.line}" ({Path(self.path).name} line {self.offset})'


class Chips:
    """All chips of this machine, opened when a line of theirs is wanted.

    Args:
        header: See `config.Config.chip`.
        on_open: Told of each chip that is opened.
        folder: Where the device files are.
        module: The libgpiod binding; imported when first needed.
    """

    def __init__(
        self,
        header: str = "",
        on_open: Callable[["gpiod.Chip"], None] | None = None,
        folder: Path = Path("/dev"),
        module: str = _MODULE,
    ) -> None:
        self._header = header
        self._on_open = on_open
        self._folder = folder
        self._module = module
        self._open: dict[str, gpiod.Chip] = {}
        self._refused: list[str] = []

    @property
    def binding(self) -> ModuleType:
        """The libgpiod binding. Raises DriverError if it is not there, or is version 1."""
        try:
            module = import_module(self._module)
        except ImportError as error:
            raise DriverError(
                f"no libgpiod for this Python ({error}); install python3-libgpiod, or gpiod 2 by pip"
            ) from None
        if not hasattr(module, "LineSettings"):
            raise DriverError("libgpiod for this Python is version 1; install python3-libgpiod 2")
        return module

    def locate(self, line: str) -> Place:
        """Return where a line of the configuration is. Raises DriverError, which says what there is."""
        wanted, _, name = line.rpartition(":")
        try:
            path, chip = self._find(wanted or self._header)
            return Place(chip, path, _offset(chip, path, name), line)
        except OSError as error:  # a chip that goes away just now
            raise DriverError(f'line "{line}": {error.strerror or error}') from None

    def header(self) -> tuple[str, str]:
        """Return path and label of the chip whose lines need no chip in their name. Raises DriverError."""
        path, chip = self._find(self._header)
        return path, chip.get_info().label

    def drop(self, *, dead_only: bool = True) -> set[str]:
        """Close all chips, or those that have gone; return their paths."""
        dropped = {path for path, chip in self._open.items() if not (dead_only and is_alive(chip))}
        for path in dropped:
            self._open.pop(path).close()
        return dropped

    def _find(self, wanted: str) -> tuple[str, "gpiod.Chip"]:
        there = dict(self._chips())
        fitting = [path for path, chip in there.items() if _fits(wanted, path, chip)]
        chosen = fitting[0] if len(fitting) == 1 else ""
        for path, chip in there.items():
            if path != chosen and path not in self._open:
                chip.close()
        if not chosen:
            raise DriverError("; ".join([_choice(wanted, fitting, self._names()), *self._refused]))
        if chosen not in self._open:
            self._open[chosen] = there[chosen]
            if self._on_open is not None:
                self._on_open(there[chosen])
        return chosen, there[chosen]

    def _chips(self) -> Iterator[tuple[str, "gpiod.Chip"]]:
        seen = set()
        self._refused.clear()
        for found in sorted(self._folder.glob("gpiochip*")):
            path = str(found.resolve())  # Raspberry Pi OS has links of older numbers
            if path in seen or not self.binding.is_gpiochip_device(path):
                continue
            seen.add(path)
            chip = self._open.get(path) or self._opened(path)
            if chip is not None:
                yield path, chip

    def _opened(self, path: str) -> "gpiod.Chip | None":
        """Return the chip, or None after noting why not: it may be one that nobody needs."""
        try:
            chip: gpiod.Chip = self.binding.Chip(path)
        except PermissionError:
            self._refused.append(f"{path}: permission denied; add this user to group gpio")
        except OSError as error:
            self._refused.append(f"{path}: {error.strerror or error}")
        else:
            return chip
        return None

    def _names(self) -> str:
        names = []
        for path, chip in self._chips():
            names.append(f"{Path(path).name} ({chip.get_info().label})")
            if path not in self._open:
                chip.close()
        return ", ".join(names)


def is_alive(chip: "gpiod.Chip") -> bool:
    """Return whether the chip is still there."""
    try:
        chip.get_line_info(0)
    except OSError:
        return False
    return True


def refusal(place: Place, error: OSError) -> DriverError:
    """Return the error of a line that cannot be had, with who holds it."""
    if error.errno != errno.EBUSY:
        return DriverError(f"{place}: {error.strerror or error}")
    try:
        holder = place.chip.get_line_info(place.offset).consumer
    except OSError:
        holder = ""
    if holder == CONSUMER:
        return DriverError(f"{place}: this gateway holds it already, or another one runs")
    return DriverError(f'{place}: held by "{holder or "?"}"; stop that program, or choose another line')


def _fits(wanted: str, path: str, chip: "gpiod.Chip") -> bool:
    label = chip.get_info().label
    if not wanted:
        return label in HEADER_LABELS
    return wanted in (path, Path(path).name, label) or (
        wanted.startswith("/") and str(Path(wanted).resolve()) == path
    )


def _choice(wanted: str, fitting: list[str], names: str) -> str:
    if fitting:
        paths = ", ".join(Path(path).name for path in fitting)
        return f'"{wanted or "the header"}" could be each of {paths}; name one of them instead'
    there = names or "none"
    if wanted:
        return f'there is no GPIO chip "{wanted}"; there are: {there}'
    return f"there is no GPIO chip of a Raspberry Pi's header; there are: {there}; set board.chip"


def _offset(chip: "gpiod.Chip", path: str, name: str) -> int:
    info = chip.get_info()
    try:
        return chip.line_offset_from_id(name)
    except (OSError, ValueError):
        # mainline kernels name some header lines by their second use, Debian's some not at all
        number = name.removeprefix("GPIO")
        if info.label in HEADER_LABELS and number.isdecimal() and int(number) < info.num_lines:
            return int(number)
        raise DriverError(
            f'{Path(path).name} ({info.label}) has no line "{name}"; it has {_lines(chip, info.num_lines)}'
        ) from None


def _lines(chip: "gpiod.Chip", count: int) -> str:
    names = [name for offset in range(count) if (name := chip.get_line_info(offset).name)]
    shown = ", ".join(names[:40]) + (", …" if len(names) > 40 else "")  # noqa: PLR2004  # a header's worth
    return f"0 to {count - 1}" + (f" ({shown})" if names else "")
