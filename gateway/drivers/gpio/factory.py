"""A pin factory of gpiozero on libgpiod 2, for gpiozero 1.6 and 2.

gpiozero knows it by its entry point: `GPIOZERO_PIN_FACTORY=reed python3 -c "import gpiozero; ..."`. It runs
wherever libgpiod does, and pins are lines as in the configuration: 17, "GPIO17", "mcp23017:3". Other than
gpiozero's own factories it never turns an output into something else on the way, and never at the end of
the program. There is no PWM in the kernel's interface: PWMLED, Servo and the like are refused.
"""

import asyncio
import threading
import time
import weakref
from asyncio import AbstractEventLoop
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import gpiozero  # type: ignore[import-untyped]
from gpiozero.pins import Factory  # type: ignore[import-untyped]

from gateway.drivers.gpio.chips import Chips
from gateway.drivers.gpio.pin import LinePin
from gateway.errors import DriverError

_Result = TypeVar("_Result")
_Key = tuple[str, int]


class LibgpiodFactory(Factory):  # type: ignore[misc]  # gpiozero has no types
    """Makes pins of kernel lines.

    Args:
        chips: Where to look for lines.
        loop: Serves edges, and all calls are made in its thread; a thread with a loop of its own if None.
        on_gone: Told when a chip has gone.
    """

    def __init__(
        self,
        chips: Chips | None = None,
        loop: AbstractEventLoop | None = None,
        on_gone: Callable[[DriverError], None] | None = None,
    ) -> None:
        super().__init__()
        self.chips = chips or Chips()
        self.pins: dict[_Key, LinePin] = {}
        self.on_gone = on_gone or (lambda _error: None)
        self._thread = None if loop is not None else threading.Thread(target=self._serve, daemon=True)
        self.loop = loop or asyncio.new_event_loop()
        if self._thread is not None:
            self._thread.start()

    def in_loop(self, function: Callable[..., _Result], *args: object) -> _Result:
        """Call in the loop's thread and return the result; exceptions come through."""
        if self._thread is None or threading.current_thread() is self._thread or self.loop.is_closed():
            return function(*args)
        done: Future[_Result] = Future()

        def call() -> None:
            try:
                done.set_result(function(*args))
            except Exception as error:  # noqa: BLE001  # it goes to who called
                done.set_exception(error)

        self.loop.call_soon_threadsafe(call)
        return done.result()

    def close(self) -> None:
        """Let go of all lines."""
        for pin in list(self.pins.values()):
            pin.close()
        self.pins.clear()
        if self._thread is not None and self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
            self.loop.close()

    def reserve_pins(self, requester: gpiozero.Device, *names: object) -> None:
        """See gpiozero. Raises GPIOPinInUse."""
        with self._res_lock:
            for key in map(self._key, names):
                for reserver in [ref() for ref in self._reservations[key]]:
                    if reserver is not None and requester._conflicts_with(reserver):  # noqa: SLF001  # its API
                        raise gpiozero.GPIOPinInUse(f"line {key[1]} is already in use by {reserver!r}")
                self._reservations[key].append(weakref.ref(requester))

    def release_pins(self, reserver: gpiozero.Device, *names: object) -> None:
        """See gpiozero."""
        keys = [pin.key for pin in self.pins.values() if pin.number in names]
        with self._res_lock:
            for key in keys:
                held = self._reservations[key]
                self._reservations[key] = [ref for ref in held if ref() not in (reserver, None)]

    def release_all(self, reserver: gpiozero.Device) -> None:
        """See gpiozero."""
        self.release_pins(reserver, *(pin.number for pin in list(self.pins.values())))

    def pin(self, name: object) -> LinePin:
        """Return the pin of a line, always the same. Raises DriverError if there is none."""
        key = self._key(name)
        if key not in self.pins:
            self.pins[key] = LinePin(self, self.in_loop(self.chips.locate, str(name)), name)
        return self.pins[key]

    def forget(self, paths: set[str]) -> None:
        """Close the pins of these chips; the next device gets new ones."""
        for key in [key for key in self.pins if key[0] in paths]:
            self.pins.pop(key).close()
            self._reservations.pop(key, None)

    @staticmethod
    def ticks() -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    @staticmethod
    def ticks_diff(later: float, earlier: float) -> float:
        """Return seconds between two ticks."""
        return max(0.0, later - earlier)

    def _key(self, name: object) -> _Key:
        place = self.in_loop(self.chips.locate, str(name))
        return place.path, place.offset

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
