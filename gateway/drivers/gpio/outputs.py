"""An output that is taken over at the level it has: whatever hangs on it does not notice."""

import errno
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from gateway.drivers.gpio.chips import CONSUMER, Place, refusal
from gateway.errors import DriverError

if TYPE_CHECKING:
    import gpiod

    Values = dict[int | str, gpiod.line.Value]


class Output:
    """One output line; implements ports.OutputLine.

    The line is requested as it is, its level read, and in one further step made an output at that level. A
    line that was an input becomes an output at the level that it was pulled to, so that the relay behind it
    does not change either. When the request ends the kernel decides: a Raspberry Pi's goes on driving the
    level unless it has `strict_gpiod` (docs/hardware.md).

    Args:
        place: Where the line is.
        binding: libgpiod.
        on_gone: Told when the chip has gone.

    Raises:
        DriverError: The line cannot be had; the message says who holds it.
    """

    def __init__(self, place: Place, binding: ModuleType, on_gone: Callable[[DriverError], None]) -> None:
        self.place = place
        self._on_gone = on_gone
        values = binding.line.Value
        self._high = values.ACTIVE
        self._levels: dict[bool, Values] = {
            False: {place.offset: values.INACTIVE},
            True: {place.offset: values.ACTIVE},
        }
        try:
            self._request = place.chip.request_lines({place.offset: binding.LineSettings()}, CONSUMER)
        except OSError as error:
            raise refusal(place, error) from None
        try:
            settings = binding.LineSettings(
                direction=binding.line.Direction.OUTPUT,
                output_value=self._request.get_value(place.offset),
            )
            self._request.reconfigure_lines({place.offset: settings})
        except OSError as error:
            self._request.release()
            raise refusal(place, error) from None

    def level(self) -> bool:
        """Return the level at the pin. Raises DriverError."""
        try:
            return bool(self._request.get_value(self.place.offset) is self._high)
        except OSError as error:
            raise self._failure(error) from None

    def set(self, level: bool, /) -> None:
        """Drive the line. Raises DriverError."""
        try:
            self._request.set_values(self._levels[level])
        except OSError as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """Let go of the line; the kernel decides what becomes of its level."""
        if self._request:
            self._request.release()

    def _failure(self, error: OSError) -> DriverError:
        failure = DriverError(f"{self.place}: {error.strerror or error}")
        if error.errno == errno.ENODEV:
            self._on_gone(failure)
        return failure
