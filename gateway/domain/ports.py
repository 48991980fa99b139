"""What the gateway needs of the world. Hardware, the simulated building and test models implement this.

The interfaces stand here, beside the decisions that use them, so that every adapter points inwards.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from gateway.domain.events import Event
from gateway.domain.model import Channel

Emit = Callable[[Event], None]
"""Hand an event to the core: synchronous, from the loop's thread only; valves have moved on return."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How to read a line.

    Args:
        line: The board's name for it ("leak-1", "GPIO17").
        active_low: The line is true when its level is low.
        bias: "up", "down" or "none".
        debounce_s: Edges closer than this are one.
    """

    line: str
    active_low: bool = False
    bias: str = "none"
    debounce_s: float = 0.005


@dataclass(frozen=True, slots=True)
class Advert:
    """One BLE advertisement.

    Args:
        address: Upper case, colons: "54:48:E6:8F:80:A5".
        service_data: 16-bit service UUID to bytes.
        manufacturer_data: Company id to bytes (without the id itself).
        name: The local name, or "".
    """

    address: str
    service_data: Mapping[int, bytes] = field(default_factory=dict)
    manufacturer_data: Mapping[int, bytes] = field(default_factory=dict)
    name: str = ""
    rssi_dbm: int | None = None


class OutputLine(Protocol):
    """A line that the gateway drives. The world keeps its level when the gateway dies."""

    def level(self) -> bool:
        """Return the present level. Raises DriverError."""

    def set(self, level: bool, /) -> None:
        """Drive the line now, without blocking. Raises DriverError."""


@dataclass(frozen=True, slots=True)
class AnalogSpec:
    """How to read an analogue input.

    Args:
        adc: Id of the converter ("adc.<id>" in the configuration).
        channel: Input of that converter, from 0.
        every_s: Pause between two samples.
    """

    adc: str
    channel: int
    every_s: float = 0.25


class Register(NamedTuple):
    """A Modbus register: `table` is "input" (read by function 4) or "holding" (3), `address` from 0."""

    table: str
    address: int


@dataclass(frozen=True, slots=True)
class PollSpec:
    """Which registers of a Modbus device to read, again and again.

    Args:
        port: Id of the serial port ("serial.<id>" in the configuration).
        unit: The device's address, 1 to 247.
        registers: All that are wanted; neighbours are read in one request.
        every_s: Pause between two rounds.
    """

    port: str
    unit: int
    registers: tuple[Register, ...]
    every_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer this time, and why, in words."""

    problem: str


class Lines(Protocol):
    """All digital lines of one gateway.

    A line that cannot be had raises DriverError where it is taken: it costs its own valve or sensor only.
    """

    async def open(self) -> None:
        """Connect to the hardware; the other methods work only afterwards. Raises DriverError."""

    async def run(self) -> None:
        """Serve until cancelled. Raises DriverError when the hardware goes away; then all lines are void."""

    def watch(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """Enter with the present level; then call `on_level` for each debounced change.

        Raises DriverError.
        """

    def output(self, line: str, /) -> OutputLine:
        """Take a line for output at the level it has now. Raises DriverError."""

    def button(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """As `watch`, for a button that a person presses."""

    def lamp(self, line: str, /) -> OutputLine:
        """As `output`, for a light or sounder, which is off until it is set."""


class Radio(Protocol):
    """All Bluetooth adapters of one gateway; adapters that fail or come back are no concern of a listener."""

    def listen(self, address: str, on_advert: Callable[[Advert], None], /) -> AbstractContextManager[None]:
        """Call `on_advert` for every advertisement of this address."""


class Analog(Protocol):
    """All analogue inputs of one gateway."""

    def sample(
        self, spec: AnalogSpec, on_sample: Callable[[float | Failure], None], /
    ) -> AbstractContextManager[None]:
        """Call `on_sample` with each sample: the ratio of input to reference voltage, or why there is none.

        Raises DriverError if there is no such input.
        """


class Fieldbus(Protocol):
    """All serial ports with Modbus devices of one gateway."""

    def poll(
        self, spec: PollSpec, on_answer: Callable[[Mapping[Register, int] | Failure], None], /
    ) -> AbstractContextManager[None]:
        """Call `on_answer` after each round: 16-bit values of all registers, or why there are none.

        Raises DriverError if there is no such port.
        """


class Board(Lines, Radio, Analog, Fieldbus, Protocol):
    """Everything that one gateway is connected to."""

    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return what is to run beside the lines, each in its own bulkhead, by the adapter's name."""


class MessageId(NamedTuple):
    """Names a message for ever: `seq` is dense from 1 within `epoch`; each start is a new epoch."""

    epoch: int
    seq: int


class OutboxRow(NamedTuple):
    """A message on its way: `payload` is the encoded envelope, sent as it is."""

    id: MessageId
    channel: Channel
    payload: bytes


class Outbox(Protocol):
    """The sender's side of the queue on disk. All calls are for the loop's thread and never block it."""

    async def take(self, limit: int, /) -> Sequence[OutboxRow]:
        """Return the next rows by priority, then age, and count them as in flight; wait for at least one.

        A row on the ALARM channel is returned only once it is on disk, unless the disk fails or stalls.
        """

    def published(self, ids: Sequence[MessageId], /) -> None:
        """The broker has acknowledged these; they wait for the receipt (or leave, `receipts = "broker"`)."""

    def received(self, epoch: int, through: int, also: Sequence[tuple[int, int]], /) -> None:
        """The cloud holds every seq up to `through` of this epoch and the ranges `also`; they leave."""

    def put_back(self) -> None:
        """The session ended: whatever is in flight or unreceipted is to be sent again, oldest first."""

    def set_aside(self, message: MessageId, problem: str, /) -> None:
        """The message is poison: keep it out of the way, with the reason, and count it."""

    async def claim(self, command_id: str, not_after_unix_s: float, /) -> bool:
        """Return True the first time, durably: after a crash the answer for this id stays False.

        Raises StoreError if the disk cannot promise that.
        """
