"""An input line: its present level, then every change, told from the loop as soon as the kernel has it.

The kernel debounces and keeps edges while the loop is busy. A chip that cannot debounce (the kernel says so)
is debounced here: the level counts when no edge has come for the time.
"""

import contextlib
import errno
import time
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING

from gateway.domain.ports import InputSpec
from gateway.drivers.gpio.chips import CONSUMER, Place, refusal
from gateway.errors import DriverError

if TYPE_CHECKING:
    import gpiod

BUFFER_EDGES = 256
"""Edges that the kernel keeps for each line while the loop is busy; 12 KiB of its memory."""

SETTLE_S = 0.001
"""A pull resistor of 50 kΩ needs this to charge 100 m of cable; only then is the level worth reading."""

RETRY_S = 0.1
RETRIES = 10
"""A bus that fails to read an expander once is asked again; a whole board must not begin anew for that."""


class Input:
    """One input line.

    Args:
        place: Where it is.
        spec: How to read it.
        binding: libgpiod.
        loop: Serves it; all methods are for its thread.
        on_gone: Told when the chip has gone.

    Raises:
        DriverError: The line cannot be had; the message says who holds it.
    """

    def __init__(
        self,
        place: Place,
        spec: InputSpec,
        binding: ModuleType,
        loop: AbstractEventLoop,
        on_gone: Callable[[DriverError], None],
    ) -> None:
        self.place = place
        self._spec = spec
        self._gpiod = binding
        self._loop = loop
        self._on_gone = on_gone
        self._active, self._rising = binding.line.Value.ACTIVE, binding.EdgeEvent.Type.RISING_EDGE
        self._told = False
        self._seqno = 0
        self._software_debounce_s = 0.0
        self._misses = 0
        self._timer: TimerHandle | None = None
        self._tell: Callable[[bool], None] | None = None
        try:
            self._request = place.chip.request_lines(
                {place.offset: self._settings()}, CONSUMER, event_buffer_size=BUFFER_EDGES
            )
        except OSError as error:
            raise refusal(place, error) from None
        if spec.bias != "none":
            time.sleep(SETTLE_S)

    def listen(self, on_level: Callable[[bool], None]) -> bool:
        """Return the present level; from now on call `on_level` for each debounced change.

        An edge between reading and watching is kept by the kernel. Raises DriverError.
        """
        try:
            self._detect_edges()
        except OSError as error:
            self.close()
            raise DriverError(
                f"{self.place}: no edges ({error.strerror or error}); "
                "a chip behind a bus needs its interrupt line connected"
            ) from None
        self._told = self.level()
        self._tell = on_level
        self._loop.add_reader(self._request.fd, self._on_edges)
        return self._told

    def level(self) -> bool:
        """Return the present level. Raises DriverError."""
        try:
            return bool(self._request.get_value(self.place.offset) is self._active)
        except OSError as error:
            raise DriverError(f"{self.place}: {error.strerror or error}") from None

    def close(self) -> None:
        """Tell nothing any more and let go of the line."""
        self._quiet()
        if self._request:
            self._request.release()

    def _settings(self, *, edges: bool = False, debounce_s: float = 0.0) -> "gpiod.LineSettings":
        line = self._gpiod.line
        bias = {"up": line.Bias.PULL_UP, "down": line.Bias.PULL_DOWN, "none": line.Bias.DISABLED}
        settings: gpiod.LineSettings = self._gpiod.LineSettings(
            direction=line.Direction.INPUT,
            active_low=self._spec.active_low,
            bias=bias[self._spec.bias],
            edge_detection=line.Edge.BOTH if edges else line.Edge.NONE,
            debounce_period=timedelta(seconds=debounce_s),
        )
        return settings

    def _detect_edges(self) -> None:
        try:
            self._reconfigure(self._spec.debounce_s)
        except OSError:
            if not self._spec.debounce_s:
                raise
            self._reconfigure(0.0)
            self._software_debounce_s = self._spec.debounce_s

    def _reconfigure(self, debounce_s: float) -> None:
        settings = self._settings(edges=True, debounce_s=debounce_s)
        self._request.reconfigure_lines({self.place.offset: settings})

    def _on_edges(self) -> None:
        try:
            edges = self._request.read_edge_events()
        except OSError as error:
            self._failed(error)
            return
        if self._software_debounce_s:
            self._wait_for_quiet()
            return
        lost = False
        for edge in edges:
            lost |= edge.line_seqno != self._seqno + 1
            self._seqno = edge.line_seqno
            self._change(edge.event_type is self._rising)
        if lost:
            self._look()

    def _change(self, level: bool) -> None:
        if self._tell is not None and level is not self._told:
            self._told = level
            self._tell(level)

    def _look(self) -> None:
        """Read the line: some edges were lost, or have ended."""
        self._timer = None
        if self._tell is None:
            return
        try:
            level = self._request.get_value(self.place.offset) is self._active
        except OSError as error:
            self._missed(error)
        else:
            self._misses = 0
            self._change(level)

    def _missed(self, error: OSError) -> None:
        self._misses += 1
        if error.errno == errno.ENODEV or self._misses > RETRIES:
            self._failed(error)
        else:
            self._timer = self._loop.call_later(RETRY_S, self._look)

    def _wait_for_quiet(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._software_debounce_s, self._look)

    def _failed(self, error: OSError) -> None:
        self._quiet()
        reason = "the chip has gone" if error.errno == errno.ENODEV else error.strerror or str(error)
        self._on_gone(DriverError(f"{self.place}: {reason}"))

    def _quiet(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._tell is not None:
            self._tell = None
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.remove_reader(self._request.fd)
