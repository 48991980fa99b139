"""The failsafe on the simulated building, whose outputs keep their levels as a Pi's do."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.app import failsafe, failsafe_note
from gateway.app.failsafe_note import Note
from gateway.config.read import read
from gateway.errors import ConfigError, DriverError
from gateway.sim.board import SimBoard
from gateway.sim.config import Config
from gateway.sim.plan import parse
from gateway.sim.server import Server, serve

PLAN = """
[room.cellar]
[pipe.main]
room = "cellar"
valve = "main"
[pipe.garden]
room = "cellar"
valve = "garden"
[pipe.roof]
room = "cellar"
valve = "roof"
[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
closed_switch_line = "main-is-closed"
travel_s = 2.0
position = "open"
[valve.garden]
kind = "spring_return"
open_line = "garden-open"
[valve.roof]
kind = "latching"
open_line = "roof-open"
close_line = "roof-close"
"""

CONFIG = """
[gateway]
id = "house-7"
state_dir = "state"
runtime_dir = "run"
[board]
kind = "sim"
socket = "building"
[control]
group = "root"
[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
closed_switch_line = "main-is-closed"
travel_s = 3.0
[valve.garden]
kind = "spring_return"
open_line = "garden-open"
on_daemon_loss = "close"
[valve.roof]
kind = "latching"
open_line = "roof-open"
close_line = "roof-close"
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def note(config_file: Path) -> Note:
    return failsafe_note.of(read(config_file))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serve(parse(PLAN), tmp_path / "building") as running:
        yield running


async def leave(server: Server, tmp_path: Path, *on: str) -> None:
    """A daemon energised these and died."""
    board = SimBoard(Config(socket=tmp_path / "building"))
    await board.open()
    for line in on:
        board.drive(line, level=True)
    board.close()
    await asyncio.sleep(0.02)


def energised(server: Server) -> set[str]:
    server.catch_up()
    return {line for line, level in server.building.outputs.items() if level}


def opened(server: Server, valve: str) -> float:
    server.catch_up()
    return server.building.valves[valve].position


async def test_crash_stops_every_moving_coil_at_once(server: Server, note: Note, tmp_path: Path):
    await leave(server, tmp_path, "main-close", "roof-open", "garden-open")

    done = await failsafe.secure(note, crashed=True)

    assert energised(server) == set()
    assert done == [
        "valve main: close was on; released: open, close",
        "valve garden: open was on; released: open",
        "valve roof: open was on; released: open, close",
    ]


async def test_closing_goes_on_to_its_switch_after_a_clean_stop(server: Server, note: Note, tmp_path: Path):
    await leave(server, tmp_path, "main-close")

    done = await failsafe.secure(note, crashed=False)

    assert opened(server, "main") == 0.0
    assert energised(server) == set()
    assert "closed until its end switch was made" in done[0]


async def test_closing_without_a_switch_ends_by_its_time(server: Server, note: Note, tmp_path: Path):
    await leave(server, tmp_path, "main-close")
    blind = replace(
        note,
        drives=note.drives | {"main": replace(note.drives["main"], travel_s=2.0)},
        lines=note.lines | {"main": replace(note.lines["main"], closed_switch=None)},
    )

    done = await failsafe.secure(blind, crashed=False)

    assert opened(server, "main") == 0.0
    assert energised(server) == set()
    assert "closed until 3 s had passed" in done[0]


async def test_who_cannot_wait_for_a_closing_ends_it(server: Server, note: Note, tmp_path: Path):
    await leave(server, tmp_path, "main-close")
    blind = replace(note, lines=note.lines | {"main": replace(note.lines["main"], closed_switch=None)})

    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(10):
        done = await failsafe.secure(blind, crashed=False)

    assert energised(server) == set()
    assert "closed until told to stop" in done[0]


async def test_opening_is_stopped_after_a_clean_stop_too(server: Server, note: Note, tmp_path: Path):
    await leave(server, tmp_path, "main-open", "roof-close")

    await failsafe.secure(note, crashed=False)

    assert energised(server) == set()


@pytest.mark.parametrize("crashed", [False, True])
async def test_spring_valve_that_is_to_hold_stays_open(
    server: Server, note: Note, tmp_path: Path, crashed: bool
):
    await leave(server, tmp_path, "garden-open")
    held = replace(note, drives={"garden": replace(note.drives["garden"], on_daemon_loss="hold")})

    assert await failsafe.secure(held, crashed=crashed) == ["no valve needs anything"]
    assert energised(server) == {"garden-open"}


async def test_coils_that_are_active_low_are_released_high(server: Server, note: Note, tmp_path: Path):
    await leave(server, tmp_path, "roof-close")
    inverted = replace(note.lines["roof"], coils_active_low=True)

    done = await failsafe.secure(replace(note, lines=note.lines | {"roof": inverted}), crashed=True)

    assert {"roof-open", "roof-close"} <= energised(server)
    assert "valve roof: open was on" in done[2]


async def test_valve_whose_line_is_missing_keeps_no_other_waiting(server: Server, note: Note, tmp_path: Path):
    await leave(server, tmp_path, "garden-open", "roof-open")
    wrong = replace(note.lines["main"], open_line="no-such-line")

    with pytest.raises(DriverError, match='valve main: line "no-such-line" is no output'):
        await failsafe.secure(replace(note, lines=note.lines | {"main": wrong}), crashed=True)

    assert energised(server) == set()


async def test_bug_at_a_valves_switch_keeps_no_other_waiting(
    server: Server, note: Note, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await leave(server, tmp_path, "main-close", "garden-open", "roof-open")

    def watch(*_: object) -> None:
        raise OSError("File exists")

    monkeypatch.setattr(SimBoard, "watch", watch)
    await failsafe.secure(note, crashed=True)

    assert energised(server) == set()


async def test_running_daemon_is_left_in_peace(server: Server, note: Note, tmp_path: Path):
    await leave(server, tmp_path, "garden-open")
    Path(note.control).parent.mkdir()
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(note.control)
        daemon.listen()

        with pytest.raises(DriverError, match="the gateway is running"):
            await failsafe.secure(note, crashed=True)

    assert energised(server) == {"garden-open"}


# --- the note ---------------------------------------------------------------------------------------


def test_note_comes_back_as_it_was_written(note: Note, tmp_path: Path):
    failsafe_note.write(note, tmp_path / "run")

    assert failsafe_note.read(tmp_path / "run") == note
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["valves.json"]


def test_daemon_that_cannot_leave_its_note_starts_all_the_same(
    config_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "run").write_text("a file where the folder should be")

    failsafe_note.leave(read(config_file))

    assert "no valves.json for the failsafe" in caplog.text


def test_note_of_the_daemon_counts_even_if_the_configuration_has_changed_since(
    note: Note, config_file: Path, tmp_path: Path
):
    failsafe_note.write(note, tmp_path / "run")
    config_file.write_text(CONFIG.replace("garden-open", "other-line"))

    assert failsafe.find_note(config_file, {}).lines["garden"].open_line == "garden-open"


@pytest.mark.parametrize("text", ["[gateway\n", "\xff", CONFIG + "[nonsense]\n", ""])
def test_note_is_found_whatever_happened_to_the_configuration(
    note: Note, config_file: Path, tmp_path: Path, text: str
):
    failsafe_note.write(note, tmp_path / "run")
    config_file.write_text(text, encoding="latin-1")
    environment = {"RUNTIME_DIRECTORY": str(tmp_path / "run")}

    assert failsafe.find_note(config_file, environment) == note


def test_without_a_note_the_configuration_is_read(note: Note, config_file: Path):
    assert failsafe.find_note(config_file, {}) == note


def test_note_from_before_the_last_boot_is_none(
    note: Note, config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    failsafe_note.write(note, tmp_path / "run")
    config_file.write_text(CONFIG.replace("garden-open", "other-line"))
    monkeypatch.setattr(failsafe_note, "boot_id", lambda: "the next one")

    assert failsafe.find_note(config_file, {}).lines["garden"].open_line == "other-line"


def test_valve_without_lines_in_the_note_is_damage(note: Note, tmp_path: Path):
    failsafe_note.write(replace(note, lines={}), tmp_path)

    with pytest.raises(DriverError, match="damaged"):
        failsafe_note.read(tmp_path)


_DAMAGES: tuple[str, ...] = (
    "",
    "[]",
    "{}",
    '{"version": 2}',
    "null",
    '{"version": 1, "board": "sim", "where": "", "control": "", "drives": {"a": {}}, "lines": {}}',
    '{"version": 1, "board": "sim", "where": "", "control": "", "drives": [], "lines": []}',
    "[" * 100_000,
)


@pytest.mark.parametrize("text", _DAMAGES, ids=range(len(_DAMAGES)))
def test_damaged_note_is_as_good_as_none(note: Note, config_file: Path, tmp_path: Path, text: str):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "valves.json").write_text(text)

    assert failsafe.find_note(config_file, {}) == note


def test_neither_note_nor_configuration_is_one_clear_error(
    config_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(failsafe, "RUNTIME_DIR", tmp_path / "nowhere")
    config_file.write_text(CONFIG + "[nonsense]\n[more]\n")

    with pytest.raises(ConfigError) as error:
        failsafe.find_note(config_file, {})

    assert len(error.value.problems) == 1
    assert "1 more problem" in str(error.value)
    assert "valve lines stay as they are" in str(error.value)


# --- the command ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("result", "is_shut"), [("success", True), ("watchdog", False)])
async def test_systemd_tells_the_command_how_the_daemon_ended(
    server: Server, config_file: Path, tmp_path: Path, result: str, is_shut: bool
):
    await leave(server, tmp_path, "main-close")
    command = (sys.executable, "-m", "gateway", "failsafe", "--config", str(config_file))

    process = await asyncio.create_subprocess_exec(*command, env=os.environ | {"SERVICE_RESULT": result})

    assert await process.wait() == 0
    assert (opened(server, "main") == 0.0) is is_shut
    assert energised(server) == set()


def test_command_without_a_building_says_so_in_one_line(
    note: Note, config_file: Path, capsys: pytest.CaptureFixture[str]
):
    status = main(["failsafe", "--config", str(config_file)])

    assert status == DriverError.exit_status
    assert capsys.readouterr().err.count("\n") == 1


def test_note_is_readable_for_people(note: Note, tmp_path: Path):
    failsafe_note.write(note, tmp_path)
    told: Mapping[str, object] = json.loads((tmp_path / "valves.json").read_text())

    assert told["board"] == "sim"
