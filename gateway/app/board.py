"""Everything that the gateway is connected to, put together as the configuration says.

Each family of devices is loaded only if the site has it: a gateway with wired sensors needs no Bluetooth.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Protocol, cast

from gateway.config.model import Config
from gateway.domain.ports import (
    Advert,
    Analog,
    AnalogSpec,
    Failure,
    Fieldbus,
    InputSpec,
    Lines,
    OutputLine,
    PollSpec,
    Radio,
    Register,
)
from gateway.drivers import sensors
from gateway.errors import DriverError
from gateway.sim.board import SimBoard
from gateway.sim.config import Config as SimConfig

Parts = Mapping[str, Callable[[], Awaitable[None]]]


class _Family(Protocol):
    """Devices with tasks of their own."""

    def parts(self) -> Parts: ...


class WholeBoard:
    """Implements ports.Board with one object for each family of devices.

    Args:
        lines: Digital lines.
        radio: Bluetooth.
        analog: Analogue inputs.
        fieldbus: Modbus.
        parts: What all of them want to run.
    """

    def __init__(self, lines: Lines, radio: Radio, analog: Analog, fieldbus: Fieldbus, parts: Parts) -> None:
        self.open = lines.open
        self.run = lines.run
        self._lines = lines
        self._radio = radio
        self._analog = analog
        self._fieldbus = fieldbus
        self._parts = parts

    def watch(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """See ports.Lines."""
        return self._lines.watch(spec, on_level)

    def output(self, line: str, /) -> OutputLine:
        """See ports.Lines."""
        return self._lines.output(line)

    def button(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """See ports.Lines."""
        return self._lines.button(spec, on_level)

    def lamp(self, line: str, /) -> OutputLine:
        """See ports.Lines."""
        return self._lines.lamp(line)

    def listen(self, address: str, on_advert: Callable[[Advert], None], /) -> AbstractContextManager[None]:
        """See ports.Radio."""
        return self._radio.listen(address, on_advert)

    def sample(
        self, spec: AnalogSpec, on_sample: Callable[[float | Failure], None], /
    ) -> AbstractContextManager[None]:
        """See ports.Analog."""
        return self._analog.sample(spec, on_sample)

    def poll(
        self, spec: PollSpec, on_answer: Callable[[Mapping[Register, int] | Failure], None], /
    ) -> AbstractContextManager[None]:
        """See ports.Fieldbus."""
        return self._fieldbus.poll(spec, on_answer)

    def parts(self) -> Parts:
        """See ports.Board."""
        return self._parts


class Absent:
    """Radio, analogue inputs and fieldbus of a site that has configured none."""

    def listen(self, address: str, _on_advert: Callable[[Advert], None], /) -> AbstractContextManager[None]:
        """Raise DriverError."""
        raise DriverError(f"{address}: this gateway has no Bluetooth adapter; see [bluetooth]")

    def sample(
        self, spec: AnalogSpec, _on_sample: Callable[[float | Failure], None], /
    ) -> AbstractContextManager[None]:
        """Raise DriverError."""
        raise DriverError(f"there is no [adc.{spec.adc}]")

    def poll(
        self, spec: PollSpec, _on_answer: Callable[[Mapping[Register, int] | Failure], None], /
    ) -> AbstractContextManager[None]:
        """Raise DriverError."""
        raise DriverError(f"there is no [serial.{spec.port}]")


def assemble(config: Config) -> WholeBoard:
    """Return the board of this site, not open yet."""
    parts: dict[str, Callable[[], Awaitable[None]]] = {}
    fieldbus: Fieldbus = Absent()
    if config.serial:
        fieldbus = cast("Fieldbus", _load("modbus.fieldbus", "SerialPorts", config.serial, parts))
    if isinstance(config.board, SimConfig):
        building = SimBoard(config.board)
        return WholeBoard(building, building, building, fieldbus, parts)
    lines = cast("Lines", _gpio(config))
    radio: Radio = Absent()
    if sensors.any_radio(entry.kind for entry in config.sensors.values()):
        radio = cast("Radio", _load("ble.radio", "BleRadio", config.bluetooth, parts))
    analog: Analog = Absent()
    if config.adc:
        analog = cast("Analog", _load("adc.analog", "Converters", config.adc, parts))
    return WholeBoard(lines, radio, analog, fieldbus, parts)


def _gpio(config: Config) -> object:
    indicator = config.indicator
    has_panel = bool(config.buttons or indicator.led_line or indicator.sounder_line)
    return import_module("gateway.drivers.gpio.lines").GpioLines(config.board, has_panel=has_panel)


def _load(module: str, name: str, config: object, parts: dict[str, Callable[[], Awaitable[None]]]) -> object:
    family: _Family = getattr(import_module(f"gateway.drivers.{module}"), name)(config)
    parts.update(family.parts())
    return family
