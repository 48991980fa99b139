"""One line as a pin of gpiozero."""

from collections.abc import Callable
from types import MethodType, SimpleNamespace
from typing import TYPE_CHECKING
from weakref import WeakMethod, ref

import gpiozero  # type: ignore[import-untyped]
from gpiozero.pins import Pin  # type: ignore[import-untyped]

from gateway.domain.ports import InputSpec
from gateway.drivers.gpio.chips import Place
from gateway.drivers.gpio.inputs import Input
from gateway.drivers.gpio.outputs import Output

if TYPE_CHECKING:
    from gateway.drivers.gpio.factory import LibgpiodFactory

_Changed = Callable[[float, int], None]

_BIAS = {"up": "up", "down": "down", "floating": "none"}


class LinePin(Pin):  # type: ignore[misc]  # gpiozero has no types
    """A line that gpiozero's devices read or drive; see gpiozero.Pin for the properties.

    The line is requested when its function is set. Levels are as on the wire: 1 is high.
    """

    def __init__(self, factory: "LibgpiodFactory", place: Place, name: object) -> None:
        super().__init__()
        self._factory = factory
        self._place = place
        self.number = name
        self._line: Input | Output | None = None
        self._pull = "floating"
        self._bounce: float | None = None
        self._edges = "both"
        self._when_changed: ref[_Changed] | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Where the line is: the chip's path and the offset there."""
        return self._place.path, self._place.offset

    def __repr__(self) -> str:
        return str(self._place)

    def close(self) -> None:
        """Let go of the line; the kernel decides what becomes of an output."""
        self._when_changed = None
        self._pull, self._bounce, self._edges = "floating", None, "both"
        self._release()

    def output_with_state(self, state: bool) -> None:
        """Drive the line at a level, without a glitch if it had that level already."""
        self.function = "output"
        self.state = state

    def _release(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            self._factory.in_loop(line.close)

    def _request(self) -> Input:
        """Take the line as an input with the present settings."""
        self._release()
        bounce_s = self._bounce or 0.0
        spec = InputSpec(self._place.line, bias=_BIAS[self._pull], debounce_s=bounce_s)
        factory = self._factory
        self._line = line = factory.in_loop(
            Input, self._place, spec, factory.chips.binding, factory.loop, factory.on_gone
        )
        if self._when_changed is not None:
            factory.in_loop(line.listen, self._changed)
        return line

    def _get_info(self) -> SimpleNamespace:
        """Version 2 of gpiozero asks for the name here; 1.6 asks for `number`."""
        return SimpleNamespace(name=self.number)

    info = property(lambda self: self._get_info())

    def _get_function(self) -> str:
        return "output" if isinstance(self._line, Output) else "input"

    def _set_function(self, value: str) -> None:
        if value == "input":
            self._request()
        elif value == "output":
            if not isinstance(self._line, Output):
                self._release()
                factory = self._factory
                self._line = factory.in_loop(Output, self._place, factory.chips.binding, factory.on_gone)
        else:
            raise gpiozero.PinInvalidFunction(f'{self} has no function "{value}"')

    def _get_state(self) -> int:
        return int(self._factory.in_loop((self._line or self._request()).level))

    def _set_state(self, value: float) -> None:
        if not isinstance(self._line, Output):
            raise gpiozero.PinSetInput(f"{self} is an input")
        if value not in (0, 1):
            raise gpiozero.PinInvalidState(f"{self} can be 0 or 1, not {value}")
        self._factory.in_loop(self._line.set, bool(value))

    def _get_pull(self) -> str:
        return self._pull

    def _set_pull(self, value: str) -> None:
        if value not in _BIAS:
            raise gpiozero.PinInvalidPull(f'{self} has no pull "{value}"')
        if isinstance(self._line, Output):
            raise gpiozero.PinFixedPull(f"{self} is an output")
        self._pull = value
        self._request()

    def _get_bounce(self) -> float | None:
        return self._bounce

    def _set_bounce(self, value: float | None) -> None:
        if value is not None and value < 0:
            raise gpiozero.PinInvalidBounce(f"{self}: {value} s is less than 0")
        self._bounce = value

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        if value not in ("none", "rising", "falling", "both"):
            raise gpiozero.PinInvalidEdges(f'{self} has no edge "{value}"')
        self._edges = value

    def _get_when_changed(self) -> _Changed | None:
        return None if self._when_changed is None else self._when_changed()

    def _set_when_changed(self, value: _Changed | None) -> None:
        if isinstance(self._line, Output):
            raise gpiozero.PinEdgeDetectUnsupported(f"{self} is an output")
        if value is None:
            self._when_changed = None
        else:
            # weak, so that a device that nobody holds is closed
            self._when_changed = WeakMethod(value) if isinstance(value, MethodType) else ref(value)
        self._request()

    def _changed(self, level: bool) -> None:
        call = None if self._when_changed is None else self._when_changed()
        if call is not None and self._edges in ("both", "rising" if level else "falling"):
            call(self._factory.ticks(), int(level))
