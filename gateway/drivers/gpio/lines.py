"""All digital lines of a gateway on the kernel's GPIO character device; implements ports.Lines.

Contacts and valves use libgpiod directly. Button, light and sounder go through gpiozero, which is loaded
only where there are any.
"""

import asyncio
from asyncio import Future, get_running_loop
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.domain.ports import InputSpec, OutputLine
from gateway.drivers.gpio.chips import Chips, is_alive
from gateway.drivers.gpio.config import Config
from gateway.drivers.gpio.inputs import Input
from gateway.drivers.gpio.outputs import Output
from gateway.errors import DriverError

if TYPE_CHECKING:
    import gpiod

    from gateway.drivers.gpio.panel import Panel

_PANEL = "gateway.drivers.gpio.panel"


class GpioLines:
    """The lines of all GPIO chips.

    A chip that is missing costs its own lines, where they are taken. A chip that goes away ends `run`; the
    outputs of other chips stay taken meanwhile and never change.

    Args:
        config: Which chip is the header's.
        has_panel: There are buttons, lights or sounders: load gpiozero while the board is opened.
        folder: Where the device files are.
        module: The libgpiod binding.
    """

    def __init__(
        self,
        config: Config,
        *,
        has_panel: bool = False,
        folder: Path = Path("/dev"),
        module: str = "gpiod",
    ) -> None:
        self._chips = Chips(config.chip, self._watch_chip, folder, module)
        self._has_panel = has_panel
        self._outputs: dict[str, Output] = {}
        self._watched: dict[str, int] = {}
        self._panel: Panel | None = None
        self._lost: Future[None] | None = None

    async def open(self) -> None:
        """Get ready; forget what hung on chips that have gone."""
        gone = self._chips.drop()
        for path in gone & self._watched.keys():
            # not every kernel hangs up; a reader left behind makes the loop deaf to the next file of its fd
            get_running_loop().remove_reader(self._watched.pop(path))
        for line, output in list(self._outputs.items()):
            if output.place.path in gone:
                self._outputs.pop(line).close()
        if self._panel is not None:
            self._panel.forget(gone)
        self._lost = get_running_loop().create_future()
        if self._has_panel:
            with suppress(ImportError):  # told where the button or lamp is taken
                await asyncio.to_thread(import_module, _PANEL)

    async def run(self) -> None:
        """Serve until cancelled. Raises DriverError when a chip goes away."""
        if self._lost is None:
            await self.open()
        lost = self._lost
        if lost is not None:
            try:
                await lost
            finally:
                self._lost = None

    def close(self) -> None:
        """Let go of everything; for a process that goes on without the board."""
        if self._panel is not None:
            self._panel.close()
        for output in self._outputs.values():
            output.close()
        self._outputs.clear()
        for fd in self._watched.values():
            get_running_loop().remove_reader(fd)
        self._watched.clear()
        self._chips.drop(dead_only=False)

    def watch(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """Enter with the present level; then call `on_level` for each debounced change.

        Raises DriverError.
        """
        return self._watching(spec, on_level)

    def output(self, line: str, /) -> OutputLine:
        """Take a line for output at the level it has now. Raises DriverError."""
        taken = self._outputs.get(line)
        if taken is None:
            taken = Output(self._chips.locate(line), self._chips.binding, self._on_gone)
            self._outputs[line] = taken
        return taken

    def button(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """As `watch`, through gpiozero."""
        return self._get_panel().button(spec, on_level)

    def lamp(self, line: str, /) -> OutputLine:
        """As `output`, through gpiozero: off until it is set."""
        return self._get_panel().lamp(line)

    @contextmanager
    def _watching(self, spec: InputSpec, on_level: Callable[[bool], None]) -> Iterator[bool]:
        place = self._chips.locate(spec.line)
        line = Input(place, spec, self._chips.binding, get_running_loop(), self._on_gone)
        try:
            yield line.listen(on_level)
        finally:
            line.close()

    def _get_panel(self) -> "Panel":
        if self._panel is None:
            try:
                panel = import_module(_PANEL)
            except ImportError as error:
                raise DriverError(
                    f"button, light and sounder need gpiozero ({error}); install python3-gpiozero"
                ) from None
            self._panel = panel.Panel(self._chips, get_running_loop(), self._on_gone)
        return self._panel

    def _watch_chip(self, chip: "gpiod.Chip") -> None:
        """The kernel hangs up the chip's file when the chip goes; it tells nothing else."""
        loop = get_running_loop()
        path, fd = chip.path, chip.fd

        def hung_up() -> None:
            loop.remove_reader(fd)
            if not is_alive(chip):
                self._on_gone(DriverError(f"{path}: the GPIO chip has gone"))

        self._watched[path] = fd
        loop.add_reader(fd, hung_up)

    def _on_gone(self, error: DriverError) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_exception(error)
            self._lost.exception()  # whoever runs gets it; if nobody does, the lines tell it
