"""What a converter chip can do, and what goes wrong with one in words."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Protocol

from gateway.domain.ports import Failure
from gateway.errors import DriverError

FROZEN = "it is frozen: power it off and on, else replace it"


class Chip(Protocol):
    """A converter on its bus. All methods block: they are for the worker's thread. They raise DriverError."""

    def open(self) -> None:
        """Connect."""

    def ratio(self, channel: int, /) -> float | Failure:
        """Return the voltage at an input as a part (0 to 1) of the supply, or what is wrong at this input."""

    def check(self, channel: int, /) -> None:
        """Raise DriverError if the chip gives the same code whatever it is told to measure."""

    def close(self) -> None:
        """Let go of the bus."""


def load(module: str) -> ModuleType:
    """Import a bus library, which only sites with such a chip need. Raises DriverError."""
    try:
        return import_module(module)
    except ImportError as error:
        raise DriverError(f"{module} cannot be loaded ({error}); apt install python3-{module}") from None


@contextmanager
def told_as_driver_error(place: str) -> Iterator[None]:
    """Turn the errors of a bus into DriverError with the place and advice."""
    try:
        yield
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "")
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise DriverError(f"{place}: {reason}{advice and f'; {advice}'}") from error


_NO_ANSWER = "no chip answers there: check its power, wiring and address"
_ADVICE = {
    errno.ENOENT: "switch the bus on with dtparam=spi=on or dtparam=i2c_arm=on in config.txt",
    errno.EACCES: "the daemon's user must be in the group of the device file (spi or i2c)",
    errno.ENXIO: _NO_ANSWER,
    errno.EREMOTEIO: _NO_ANSWER,
    errno.EIO: _NO_ANSWER,
    errno.ETIMEDOUT: "a line of the bus is held low, or its pull-up resistors are missing",
}
