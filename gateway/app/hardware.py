"""Everything that hangs on the board: valves, buttons, sensors, meters, light and sounder.

    open the board -> read every valve (nothing driven) -> tell the core -> buttons, sensors, …
         ^                                                                         |
         +------------------- the board went away: let go of all lines <-----------+

A line that cannot be had costs its own valve, button or sensor, never the others, and is tried again.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from gateway.app import sensor_secrets
from gateway.app.bulkhead import Patience, keep_running
from gateway.app.guard import GuardedBoard
from gateway.app.valve_port import ValvePort
from gateway.config.model import Config
from gateway.domain.commands import Indicate, SetCoil
from gateway.domain.events import AdapterFailed, AdapterRecovered, ButtonChanged, ValveFound
from gateway.domain.indicator import SILENT
from gateway.domain.model import LedPattern
from gateway.domain.ports import Board, Emit, InputSpec, OutputLine
from gateway.drivers import meter, sensors
from gateway.drivers.indicator import Indicator
from gateway.errors import DriverError

log = logging.getLogger(__name__)

DEVICE_PATIENCE = Patience(longest_pause_s=5.0)
"""Somebody who plugs an adapter in again waits beside it; looking whether it is there costs little."""


class Hardware:
    """The board and all that is connected to it.

    Args:
        config: Which lines there are.
        board: Not open yet.
        emit: Hears of everything that happens at the lines.
        on_found: Called each time the board has come, before anything else is heard from it.
    """

    def __init__(
        self, config: Config, board: Board, emit: Emit, on_found: Callable[[Sequence[ValveFound]], None]
    ) -> None:
        self._config = config
        self._board = board
        self._emit = emit
        self._on_found = on_found
        self._valves = {key: ValvePort(key, lines, emit) for key, lines in config.valves.items()}
        self._pressed = dict.fromkeys(config.buttons, False)
        self._watched: set[str] = set()
        self._indicator: Indicator | None = None
        self._shown = Indicate(LedPattern.AUTO, SILENT)
        self._secretive = dict(sensor_secrets.used(config))
        self._opened = sensor_secrets.folders(config)

    def drive(self, command: SetCoil) -> None:
        """Drive a coil now. Raises DriverError."""
        self._valves[command.valve_id].drive(command.coil, command.energised)

    def show(self, indicate: Indicate) -> None:
        """Show and sound this, now and whenever the indicator comes back."""
        self._shown = indicate
        if self._indicator is not None:
            self._indicator.show(indicate)

    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """Return what runs beside the lines: adapters and ports do not end because a GPIO chip has gone."""
        return self._board.parts()

    async def run(self) -> None:
        """Serve the lines until cancelled.

        Raises:
            DriverError: The board cannot be opened or went away; run again later.
        """
        try:
            await self._board.open()
            await self._serve_all()
        except DriverError:
            # without a pulse a meter says "no water", and that confirms closures
            for meter_id in self._config.meters:
                self._emit(AdapterFailed(f"meter/{meter_id}", "the board is not there"))
            raise

    async def _serve_all(self) -> None:
        with ExitStack() as closing:
            try:
                async with asyncio.TaskGroup() as parts:
                    parts.create_task(self._serve(), name="board")
                    self._on_found(self._attach_valves(closing))
                    self._attach_buttons(closing)
                    self._start_parts(parts, closing)
            except* DriverError as errors:
                raise DriverError(str(errors.exceptions[0])) from None

    async def _serve(self) -> None:
        await self._board.run()
        raise DriverError("the board ended by itself")

    def _attach_valves(self, closing: ExitStack) -> list[ValveFound]:
        found = []
        for valve_id, port in self._valves.items():
            with self._one_line(f"valve/{valve_id}"):
                found.append(port.reattach(self._board, closing))
                if port.problem:
                    raise DriverError(port.problem)
        return found

    def _attach_buttons(self, closing: ExitStack) -> None:
        for button_id in self._config.buttons:
            with self._one_line(f"button/{button_id}"):
                self._attach_button(button_id, closing)

    def _attach_button(self, button_id: str, closing: ExitStack) -> None:
        lines = self._config.buttons[button_id]
        spec = InputSpec(lines.line, lines.active_low, lines.bias, lines.debounce_s)
        pressed = closing.enter_context(self._board.button(spec, self._on_button(button_id)))
        self._watched.add(button_id)
        closing.callback(self._watched.discard, button_id)
        if pressed or self._pressed[button_id]:
            # nobody saw the edge: how long it has been like this is not known
            self._pressed[button_id] = pressed
            self._emit(ButtonChanged(button_id, pressed, is_edge=False))

    async def _button_later(self, button_id: str) -> None:
        """Do without the button until it can be had; runs in a bulkhead, which tries again."""
        with ExitStack() as closing:
            self._attach_button(button_id, closing)
            await asyncio.get_running_loop().create_future()

    async def _complete_valve(self, valve_id: str, closing: ExitStack) -> None:
        """Take what is missing of a valve, its coils first; what was taken stays. Runs in a bulkhead."""
        port = self._valves[valve_id]
        if not port.is_attached:
            self._on_found([port.reattach(self._board, closing)])
        port.watch_missing(self._board, closing)
        await asyncio.get_running_loop().create_future()

    @contextmanager
    def _one_line(self, name: str) -> Iterator[None]:
        """Report a line that cannot be had, and go on without it."""
        try:
            yield
        except DriverError as error:
            self._emit(AdapterFailed(name, str(error)))
        except Exception as error:
            # a bug at one line must not keep all the others from being taken
            log.exception("%s crashed", name)
            self._emit(AdapterFailed(name, f"{type(error).__name__}: {error}"))
        else:
            self._emit(AdapterRecovered(name))

    def _on_button(self, button_id: str) -> Callable[[bool], None]:
        def on_level(pressed: bool) -> None:
            self._pressed[button_id] = pressed
            self._emit(ButtonChanged(button_id, pressed))

        return on_level

    def _start_parts(self, parts: asyncio.TaskGroup, closing: ExitStack) -> None:
        def start(name: str, part: Callable[[], Awaitable[None]]) -> None:
            parts.create_task(keep_running(name, part, self._emit), name=name)

        for sensor_id in self._config.sensors:
            start(f"sensor/{sensor_id}", functools.partial(self._sense, sensor_id))
        for meter_id in self._config.meters:
            start(f"meter/{meter_id}", functools.partial(self._count, meter_id))
        if self._config.indicator.led_line or self._config.indicator.sounder_line:
            start("indicator", self._indicate)
        for valve_id, port in self._valves.items():
            if not port.is_attached or port.problem:
                start(f"valve/{valve_id}", functools.partial(self._complete_valve, valve_id, closing))
        for button_id in self._config.buttons:
            if button_id not in self._watched:
                start(f"button/{button_id}", functools.partial(self._button_later, button_id))

    async def _sense(self, sensor_id: str) -> None:
        entry = self._config.sensors[sensor_id]
        board = GuardedBoard(self._board, f"sensor/{sensor_id}", self._emit)
        config = entry.config
        if sensor_id in self._secretive:
            config = await asyncio.to_thread(sensor_secrets.revealed, config, self._opened)
        await sensors.load(entry.kind).run(sensor_id, config, board, self._emit)

    async def _count(self, meter_id: str) -> None:
        board = GuardedBoard(self._board, f"meter/{meter_id}", self._emit)
        await meter.run(meter_id, self._config.meters[meter_id], board, self._emit)

    async def _indicate(self) -> None:
        lines = self._config.indicator
        self._indicator = Indicator(self._lamp(lines.led_line), self._lamp(lines.sounder_line))
        self._indicator.show(self._shown)
        try:
            await self._indicator.run()
        finally:
            self._indicator = None

    def _lamp(self, line: str | None) -> OutputLine | None:
        return None if line is None else self._board.lamp(line)
