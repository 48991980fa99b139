"""What systemd runs when the daemon has ended, in whatever way: puts the valve lines into a safe state.

Needs no store, no network, no clock, and neither a sound configuration (see failsafe_note.py). What to do
is decided in gateway/domain/valve/failsafe.py. A valve whose lines cannot be had keeps no other waiting.
"""

import asyncio
import signal
import socket
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from gateway.app import failsafe_note
from gateway.app.failsafe_note import Note
from gateway.domain.model import Coil, Position
from gateway.domain.ports import Lines, OutputLine
from gateway.domain.valve.failsafe import Plan, concerned, plan
from gateway.errors import ConfigError, DriverError

RUNTIME_DIR = Path("/run/reed")

_MAX_BYTES = 1 << 20


class _Board(Lines, Protocol):
    def close(self) -> None: ...


def find_note(path: Path, environment: Mapping[str, str]) -> Note:
    """Return what the daemon left; if it left nothing, what the configuration says.

    Args:
        path: The configuration; asked for the place of the note first, as far as it can be read.
        environment: systemd's RUNTIME_DIRECTORY and the default are tried next.

    Raises:
        ConfigError: There is no note, and the configuration is not sound.
    """
    for folder in _folders(path, environment):
        with suppress(DriverError):
            return failsafe_note.read(folder)
    read = import_module("gateway.config.read").read
    try:
        return failsafe_note.of(read(path))
    except ConfigError as error:
        first, *more = error.problems
        rest = f" (and {len(more)} more problems)" if more else ""
        text = f"{first[1]}{rest}; and the daemon left no {failsafe_note.NAME}: valve lines stay as they are"
        raise ConfigError((first[0], text)) from None


def _folders(path: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError), path.open("rb") as file:
        document = tomllib.loads(file.read(_MAX_BYTES).decode())
        yield path.absolute().parent / document["gateway"]["runtime_dir"]
    if environment.get("RUNTIME_DIRECTORY"):
        yield Path(environment["RUNTIME_DIRECTORY"].split(":")[0])
    yield RUNTIME_DIR


async def secure(note: Note, *, crashed: bool) -> list[str]:
    """Put all valves into their safe state; return what was done, one line for each valve.

    Args:
        note: The valves.
        crashed: The daemon is started again at once.

    Raises:
        DriverError: The daemon runs, or some valves could not be secured; the message names them. The
            others are secured then.
    """
    if is_alive(note.control):
        raise DriverError(f"the gateway is running (it answers on {note.control}); stop it first")
    touched = [key for key, drive in note.drives.items() if concerned(drive)]
    if not touched:
        return ["no valve needs anything"]
    board = _board(note)
    with closing(board):
        await board.open()
        jobs = {key: _Job(key, note, board, crashed=crashed) for key in touched}
        for job in jobs.values():
            job.release()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _hurry, jobs.values())
        async with asyncio.TaskGroup() as group:
            for job in jobs.values():
                group.create_task(job.finish())
    problems = [job.problem for job in jobs.values() if job.problem]
    if problems:
        raise DriverError("; ".join(problems))
    return [job.done for job in jobs.values()]


def _hurry(jobs: "Iterable[_Job]") -> None:
    for job in jobs:
        job.hurry()


def is_alive(control: str) -> bool:
    """Return whether somebody listens on the daemon's socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(0.5)
        try:
            client.connect(control)
        except OSError:
            return False
    return True


def _board(note: Note) -> _Board:
    if note.board == "sim":
        config = import_module("gateway.sim.config").Config(socket=Path(note.where))
        return cast("_Board", import_module("gateway.sim.board").SimBoard(config))
    config = import_module("gateway.drivers.gpio.config").Config(chip=note.where)
    return cast("_Board", import_module("gateway.drivers.gpio.lines").GpioLines(config))


class _Job:
    """One valve: first what cannot wait, then the end of a closing."""

    def __init__(self, valve_id: str, note: Note, board: Lines, *, crashed: bool) -> None:
        self.done = ""
        self.problem = ""
        self._valve_id = valve_id
        self._drive = note.drives[valve_id]
        self._lines = note.lines[valve_id]
        self._board = board
        self._crashed = crashed
        self._coils: dict[Coil, OutputLine] = {}
        self._plan = Plan()
        self._ended = asyncio.Event()
        self._end = "its end switch was made"
        self._watching = ExitStack()

    def release(self) -> None:
        """Look at the valve and release what is to be released at once. Never raises."""
        names = {Coil.OPEN: self._lines.open_line, Coil.CLOSE: self._lines.close_line}
        for coil in concerned(self._drive):
            line = names[coil]
            if line is not None:
                with self._noting():
                    self._coils[coil] = self._board.output(line)
        energised = self._energised()
        self._plan = plan(self._drive, energised, self._made(), crashed=self._crashed)
        for coil in self._plan.release:
            self._release(coil)
        released = ", ".join(self._plan.release)
        was = f"{'+'.join(sorted(energised))} was on" if energised else "no coil was on"
        self.done = f"valve {self._valve_id}: {was}; released: {released or 'nothing'}"

    async def finish(self) -> None:
        """Let a closing come to its end, then release its coil. Never raises."""
        limit_s = self._plan.closes_within_s
        with self._watching:
            if limit_s <= 0:
                return
            try:
                async with asyncio.timeout(limit_s):
                    await self._ended.wait()
                end = self._end
            except TimeoutError:
                end = f"{limit_s:g} s had passed"
            finally:
                self._release(Coil.CLOSE)
        self.done += f"; closed until {end}"

    def hurry(self) -> None:
        """Release all now."""
        self._end = "told to stop"
        self._ended.set()

    def _made(self) -> frozenset[Position]:
        spec = self._lines.closed_switch
        if spec is None:
            return frozenset()
        with suppress(Exception):  # without its switch the closing has its full time
            if self._watching.enter_context(self._board.watch(spec, self._on_switch)):
                return frozenset({Position.CLOSED})
        return frozenset()

    def _on_switch(self, made: bool) -> None:
        if made:
            self._ended.set()

    def _energised(self) -> frozenset[Coil]:
        energised = set(self._coils)  # a coil that cannot be read may be on
        for coil, output in self._coils.items():
            with self._noting():
                if output.level() is self._lines.coils_active_low:
                    energised.discard(coil)
        return frozenset(energised)

    def _release(self, coil: Coil) -> None:
        if coil in self._coils:
            with self._noting():
                self._coils[coil].set(self._lines.coils_active_low)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Keep the first problem of this valve instead of raising it: the other valves come next."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  # a bug in one line's driver, too
            self.problem = self.problem or f"valve {self._valve_id}: {error}"
