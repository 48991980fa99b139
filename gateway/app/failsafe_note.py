"""What the failsafe needs to know, left by the daemon where no broken configuration can hide it.

`valves.json` in `gateway.runtime_dir`: the board, the control socket and the lines of all valves, as they
were in force when the daemon started. It is good for one boot: after it nothing moves, and the lines may be
used for something else.
"""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.app.clock import boot_id
from gateway.domain.ports import InputSpec
from gateway.domain.site import OnDaemonLoss, ValveKind
from gateway.domain.valve.failsafe import Drive, drive_of
from gateway.errors import DriverError

if TYPE_CHECKING:
    from gateway.config.model import Config, ValveLines

log = logging.getLogger(__name__)

NAME = "valves.json"
_VERSION = 1
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The lines of one valve; None where it has none."""

    open_line: str
    close_line: str | None = None
    closed_switch: InputSpec | None = None
    coils_active_low: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Everything that the failsafe acts on.

    Args:
        board: "linux" or "sim".
        where: The chip, or the socket of the simulated building.
        control: Who listens on this socket is a living daemon.
    """

    board: str
    where: str
    control: str
    drives: Mapping[str, Drive] = field(default_factory=dict)
    lines: Mapping[str, Lines] = field(default_factory=dict)


def of(config: "Config") -> Note:
    """Return the note of a configuration."""
    is_sim = hasattr(config.board, "socket")
    return Note(
        board="sim" if is_sim else "linux",
        where=str(getattr(config.board, "socket" if is_sim else "chip")),
        control=str(config.control.socket),
        drives={key: drive_of(spec) for key, spec in config.site.valves.items()},
        lines={key: _lines_of(lines) for key, lines in config.valves.items()},
    )


def _lines_of(lines: "ValveLines") -> Lines:
    switch = None
    if lines.closed_switch_line is not None:
        switch = InputSpec(lines.closed_switch_line, lines.switches_active_low, lines.switch_bias)
    return Lines(
        open_line=lines.open_line,
        close_line=lines.close_line,
        closed_switch=switch,
        coils_active_low=lines.coils_active_low,
    )


def leave(config: "Config") -> None:
    """Leave the note of a starting daemon; that it cannot be left is logged and stops nothing."""
    try:
        write(of(config), config.gateway.runtime_dir)
    except OSError as error:
        log.error("no %s for the failsafe: %s", NAME, error)  # noqa: TRY400


def write(note: Note, folder: Path) -> None:
    """Leave the note in a folder, whole or not at all. Raises OSError."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    text = json.dumps({"version": _VERSION, "boot": boot_id(), **asdict(note)}, indent=1)
    unfinished = folder / f".{NAME}.{os.getpid()}"
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(folder / NAME)
    finally:
        unfinished.unlink(missing_ok=True)


def read(folder: Path) -> Note:
    """Return the note in a folder. Raises DriverError if there is none, or it cannot be understood."""
    path = folder / NAME
    try:
        with path.open("rb") as file:
            told = json.loads(file.read(_MAX_BYTES))
        if told.pop("version") != _VERSION:
            raise DriverError(f"{path}: written by another version")
        if told.pop("boot") != boot_id():
            raise DriverError(f"{path}: from before the last boot")
        told["drives"] = {key: _drive(table) for key, table in told["drives"].items()}
        told["lines"] = {key: _lines(table) for key, table in told["lines"].items()}
        if told["drives"].keys() != told["lines"].keys():
            raise DriverError(f"{path}: damaged (valves without lines)")
        return Note(**told)
    except OSError as error:
        raise DriverError(f"{path}: {error.strerror or error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DriverError(f"{path}: damaged ({type(error).__name__})") from None


def _drive(table: dict[str, float | str]) -> Drive:
    return Drive(
        kind=ValveKind(str(table["kind"])),
        on_daemon_loss=OnDaemonLoss(str(table["on_daemon_loss"])),
        travel_s=float(table["travel_s"]),
        max_run_s=float(table["max_run_s"]),
    )


def _lines(table: dict[str, object]) -> Lines:
    open_line, close_line, switch = table["open_line"], table["close_line"], table["closed_switch"]
    if not isinstance(open_line, str) or not isinstance(close_line, str | None):
        raise TypeError(open_line)
    return Lines(
        open_line=open_line,
        close_line=close_line,
        closed_switch=InputSpec(**switch) if isinstance(switch, dict) else None,
        coils_active_low=bool(table["coils_active_low"]),
    )
