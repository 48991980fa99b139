"""Buttons, lights and sounders, through gpiozero; loaded only where there are any.

The device class is gpiozero's DigitalInputDevice, which Button extends by a thread that wakes up ten times a
second and can hold up `close` for 0.1 s: how long a press lasts is for the core to judge.
"""

from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gpiozero import LED, DigitalInputDevice, GPIOZeroError  # type: ignore[import-untyped]

from gateway.domain.ports import InputSpec, OutputLine
from gateway.drivers.gpio.chips import Chips
from gateway.drivers.gpio.factory import LibgpiodFactory
from gateway.errors import DriverError

_PULL_UP = {"up": True, "down": False, "none": None}


class Panel:
    """What a person presses, sees and hears.

    Args:
        chips: Where the lines are.
        loop: Everything happens in its thread.
        on_gone: Told when a chip has gone.
    """

    def __init__(self, chips: Chips, loop: AbstractEventLoop, on_gone: Callable[[DriverError], None]) -> None:
        self._factory = LibgpiodFactory(chips, loop, on_gone)
        self._lamps: dict[str, LED] = {}

    @contextmanager
    def button(self, spec: InputSpec, on_level: Callable[[bool], None]) -> Iterator[bool]:
        """See ports.Lines. Raises DriverError."""
        pull_up = _PULL_UP[spec.bias]
        reads_low = spec.active_low if pull_up is None else pull_up
        try:
            device = DigitalInputDevice(
                spec.line,
                pull_up=pull_up,
                active_state=not reads_low if pull_up is None else None,
                bounce_time=spec.debounce_s,
                pin_factory=self._factory,
            )
        except GPIOZeroError as error:
            raise DriverError(f'button "{spec.line}": {error}') from None
        # gpiozero takes a pull-up for active low; a contact that opens when pressed is the other way round
        turned = reads_low is not spec.active_low
        try:
            device.when_activated = lambda: on_level(not turned)
            device.when_deactivated = lambda: on_level(turned)
            yield bool(device.value) is not turned
        finally:
            device.close()

    def lamp(self, line: str) -> OutputLine:
        """See ports.Lines. Raises DriverError."""
        if line in self._lamps:
            self._lamps.pop(line).close()
        try:
            self._lamps[line] = led = LED(line, pin_factory=self._factory)
        except GPIOZeroError as error:
            raise DriverError(f'lamp "{line}": {error}') from None
        return _Lamp(line, led)

    def forget(self, paths: set[str]) -> None:
        """Drop what hung on these chips; it is taken anew."""
        self._factory.forget(paths)

    def close(self) -> None:
        """Let go of all lamps."""
        for led in self._lamps.values():
            led.close()
        self._lamps.clear()
        self._factory.close()


class _Lamp:
    """One light or sounder; implements ports.OutputLine."""

    def __init__(self, line: str, led: LED) -> None:
        self._line = line
        self._led = led

    def level(self) -> bool:
        try:
            return bool(self._led.value)
        except GPIOZeroError as error:
            raise self._failure(error) from None

    def set(self, level: bool, /) -> None:
        try:
            self._led.value = level
        except GPIOZeroError as error:
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> DriverError:
        return DriverError(f'lamp "{self._line}": {error}')
