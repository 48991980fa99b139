"""A small working model of libgpiod's Python binding and of the kernel behind it: lines keep levels.

Lines have an outside (what is connected), a bias and a level that they drive; released outputs go on driving,
as on a Raspberry Pi. Every write of a level is kept in `Line.writes`. Files can be polled, as the kernel's.
Real kernel behaviour is proven in tests/vm; here are the faults that cannot be had there.
"""

import errno
import os
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar


class Value(Enum):
    INACTIVE = 0
    ACTIVE = 1


class Direction(Enum):
    AS_IS = 1
    INPUT = 2
    OUTPUT = 3


class Bias(Enum):
    AS_IS = 1
    DISABLED = 3
    PULL_UP = 4
    PULL_DOWN = 5


class Edge(Enum):
    NONE = 1
    BOTH = 4


line = SimpleNamespace(Value=Value, Direction=Direction, Bias=Bias, Edge=Edge)


@dataclass
class LineSettings:
    direction: Direction = Direction.AS_IS
    edge_detection: Edge = Edge.NONE
    bias: Bias = Bias.AS_IS
    active_low: bool = False
    debounce_period: timedelta = timedelta()
    output_value: Value = Value.INACTIVE


class Kind(Enum):
    RISING_EDGE = 1
    FALLING_EDGE = 2


@dataclass
class EdgeEvent:
    Type: ClassVar[type[Kind]] = Kind
    event_type: Kind
    line_seqno: int


@dataclass
class Line:
    """What a test sees of a line; `connect` is its hand."""

    name: str | None = None
    outside: bool | None = None
    drives: bool | None = None
    bias: bool = False
    writes: list[bool] = field(default_factory=list)
    request: "Request | None" = None
    foreign: str = ""
    refuses_debounce: bool = False
    has_interrupt: bool = True
    failing_reads: int = 0

    @property
    def level(self) -> bool:
        if self.drives is not None:
            return self.drives
        return self.bias if self.outside is None else self.outside

    def connect(self, level: bool | None) -> None:
        """Connect the line to a level, or to nothing."""
        before = self.level
        self.outside = level
        if self.level is not before and self.request is not None:
            self.request.feel(self.level)


@dataclass
class Bank:
    """One chip of the machine."""

    label: str
    lines: list[Line]
    gone: bool = False
    forbidden: bool = False
    open_chips: "list[Chip]" = field(default_factory=list)

    def check(self) -> None:
        if self.gone:
            raise OSError(errno.ENODEV, "No such device")

    def vanish(self) -> None:
        self.gone = True
        for chip in self.open_chips:
            chip.hang_up()
        for each in self.lines:
            if each.request is not None:
                each.request.hang_up()


banks: dict[str, Bank] = {}


def plug(folder: Path, name: str, label: str, count: int, names: tuple[str, ...] = ()) -> Bank:
    """Put a chip into the machine."""
    bank = Bank(label, [Line(names[n] if n < len(names) else None) for n in range(count)])
    path = folder / name
    path.touch()
    banks[str(path)] = bank
    return bank


def is_gpiochip_device(path: str) -> bool:
    return path in banks


class _File:
    def __init__(self) -> None:
        self.fd, self._other_end = os.pipe()
        self._is_up = True

    def ring(self) -> None:
        os.write(self._other_end, b"x")

    def hang_up(self) -> None:
        if self._is_up:
            self._is_up = False
            os.close(self._other_end)

    def close(self) -> None:
        self.hang_up()
        os.close(self.fd)


class Chip(_File):
    def __init__(self, path: str) -> None:
        self.path = path
        self._bank = banks[path]
        if self._bank.forbidden:
            raise PermissionError(errno.EACCES, "Permission denied")
        self._bank.check()
        super().__init__()
        self._bank.open_chips.append(self)

    def close(self) -> None:
        self._bank.open_chips.remove(self)
        super().close()

    def get_info(self) -> SimpleNamespace:
        return SimpleNamespace(label=self._bank.label, num_lines=len(self._bank.lines))

    def line_offset_from_id(self, name: str) -> int:
        for offset, each in enumerate(self._bank.lines):
            if each.name == name:
                return offset
        if not name.isdecimal():
            raise OSError(errno.ENOENT, "No such file or directory")
        if int(name) >= len(self._bank.lines):
            raise ValueError("line offset of out range")
        return int(name)

    def get_line_info(self, offset: int) -> SimpleNamespace:
        self._bank.check()
        each = self._bank.lines[offset]
        consumer = each.foreign or (each.request.consumer if each.request else "")
        return SimpleNamespace(name=each.name, consumer=consumer, used=bool(consumer))

    def request_lines(
        self, config: dict[int, LineSettings], consumer: str, event_buffer_size: int = 16
    ) -> "Request":
        self._bank.check()
        ((offset, settings),) = config.items()
        each = self._bank.lines[offset]
        if each.request is not None or each.foreign:
            raise OSError(errno.EBUSY, "Device or resource busy")
        request = Request(self._bank, each, offset, consumer, event_buffer_size)
        request.reconfigure_lines({offset: settings})
        each.request = request
        return request


class Request(_File):
    def __init__(self, bank: Bank, each: Line, offset: int, consumer: str, room: int) -> None:
        super().__init__()
        self._bank, self._line, self._offset, self.consumer = bank, each, offset, consumer
        self._settings = LineSettings()
        self._events: deque[EdgeEvent] = deque(maxlen=room)  # the kernel drops the oldest, too
        self._seqno = 0
        self._live = True

    def __bool__(self) -> bool:
        return self._live

    def reconfigure_lines(self, config: dict[int, LineSettings]) -> None:
        self._bank.check()
        settings = config[self._offset]
        if settings.debounce_period and self._line.refuses_debounce:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        if settings.edge_detection is Edge.BOTH and not self._line.has_interrupt:
            raise OSError(errno.ENXIO, "No such device or address")
        self._settings = settings
        if settings.direction is Direction.OUTPUT:
            self._write(settings.output_value)
        elif settings.direction is Direction.INPUT:
            self._line.drives = None
        if settings.bias in (Bias.PULL_UP, Bias.PULL_DOWN):
            self._line.bias = settings.bias is Bias.PULL_UP

    def get_value(self, _offset: int) -> Value:
        self._bank.check()
        if self._line.failing_reads:
            self._line.failing_reads -= 1
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        return Value.ACTIVE if self._line.level is not self._settings.active_low else Value.INACTIVE

    def set_values(self, values: dict[int, Value]) -> None:
        self._bank.check()
        self._write(values[self._offset])

    def read_edge_events(self) -> list[EdgeEvent]:
        self._bank.check()
        os.read(self.fd, 4096)
        events = list(self._events)
        self._events.clear()
        return events

    def feel(self, level: bool) -> None:
        """The line has changed."""
        if self._settings.edge_detection is not Edge.BOTH:
            return
        self._seqno += 1
        rising = level is not self._settings.active_low
        kind = Kind.RISING_EDGE if rising else Kind.FALLING_EDGE
        self._events.append(EdgeEvent(kind, self._seqno))
        self.ring()

    def release(self) -> None:
        assert self._live, "released twice"
        self._live = False
        self._line.request = None
        self.close()

    def _write(self, value: Value) -> None:
        self._line.drives = value is Value.ACTIVE
        self._line.writes.append(self._line.drives)
