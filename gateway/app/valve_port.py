"""The lines of one valve: read before anything is driven, then driven without a glitch."""

from collections.abc import Callable
from contextlib import ExitStack

from gateway.config.model import ValveLines
from gateway.domain.events import EndSwitchChanged, ValveFound
from gateway.domain.model import Coil, Position
from gateway.domain.ports import Board, Emit, InputSpec, OutputLine
from gateway.errors import DriverError


class ValvePort:
    """One valve at the board; `attach` again after the board was away."""

    def __init__(self, valve_id: str, lines: ValveLines, emit: Emit) -> None:
        self._valve_id = valve_id
        self._lines = lines
        self._emit = emit
        self._outputs: dict[Coil, OutputLine] = {}
        self._made: dict[Position, bool] = {}
        self._missing: dict[Position, str] = {}

    def attach(self, board: Board, closing: ExitStack) -> ValveFound:
        """Read all lines, keep the outputs at the level they have, and watch the switches.

        A switch that cannot be had (`problem` tells) keeps no valve from being closed: it is not known to
        be made, and `watch_missing` tries it again.

        Args:
            board: Open.
            closing: Ends the watching.

        Raises:
            DriverError: A coil's line is missing or cannot be read; the message names it.
        """
        made: dict[Position, bool] = {}
        missing: dict[Position, str] = {}
        with ExitStack() as watching:
            for end in self._switch_lines():
                try:
                    made[end] = self._watch(board, watching, end)
                except DriverError as error:
                    missing[end] = str(error)
            outputs = {coil: board.output(line) for coil, line in self._coil_lines().items()}
            coils = {coil: output.level() != self._lines.coils_active_low for coil, output in outputs.items()}
            closing.enter_context(watching.pop_all())
        self._made, self._missing, self._outputs = made, missing, outputs
        closing.callback(outputs.clear)
        return ValveFound(self._valve_id, coils, dict(made))

    def reattach(self, board: Board, closing: ExitStack) -> ValveFound:
        """As `attach`; then tell which switches moved while the board was away. Raises DriverError."""
        before = dict(self._made)
        found = self.attach(board, closing)
        for end, made in found.switches.items():
            if end in before and before[end] is not made:
                self._emit(EndSwitchChanged(self._valve_id, end, made))
        return found

    def watch_missing(self, board: Board, closing: ExitStack) -> None:
        """Watch the switches that could not be had, and tell how they stand. Raises DriverError."""
        for end in tuple(self._missing):
            self._made[end] = self._watch(board, closing, end)
            del self._missing[end]
            self._emit(EndSwitchChanged(self._valve_id, end, self._made[end]))

    @property
    def problem(self) -> str:
        """Why switches are missing; "" if none is."""
        return "; ".join(self._missing.values())

    @property
    def is_attached(self) -> bool:
        """Its lines are there."""
        return bool(self._outputs)

    def drive(self, coil: Coil, energised: bool) -> None:
        """Energise or release a coil, now. Raises DriverError."""
        output = self._outputs.get(coil)
        if output is None:
            raise DriverError(f"valve {self._valve_id}: its {coil} line is not there; check board and config")
        output.set(energised != self._lines.coils_active_low)

    def _coil_lines(self) -> dict[Coil, str]:
        lines = {Coil.OPEN: self._lines.open_line}
        if self._lines.close_line is not None:
            lines[Coil.CLOSE] = self._lines.close_line
        return lines

    def _switch_lines(self) -> dict[Position, str]:
        lines = {
            Position.OPEN: self._lines.open_switch_line,
            Position.CLOSED: self._lines.closed_switch_line,
        }
        return {end: line for end, line in lines.items() if line is not None}

    def _watch(self, board: Board, closing: ExitStack, end: Position) -> bool:
        line = self._switch_lines()[end]
        spec = InputSpec(line, self._lines.switches_active_low, self._lines.switch_bias)
        return closing.enter_context(board.watch(spec, self._on_switch(end)))

    def _on_switch(self, end: Position) -> Callable[[bool], None]:
        def on_level(made: bool) -> None:
            self._made[end] = made
            self._emit(EndSwitchChanged(self._valve_id, end, made))

        return on_level
