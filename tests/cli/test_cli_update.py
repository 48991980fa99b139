"""`reed-gateway update`: what people see and ask, against the real files of a runner."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.domain.update.model import Kind, Order, State, Step, Update
from gateway.update.mailbox import Mailbox
from gateway.update.record import Record, Saved
from tests.fakes.gateway import FakeGateway, served
from tests.fakes.terminal import Terminal

CONFIG = """\
[gateway]
id = "hq-01"
state_dir = "state"
runtime_dir = "run"
[board]
kind = "sim"
socket = "building.sock"
"""
WAITING = Update(
    Order("u1", Kind.APP, "app/2", "1.5.0"), State.WAITING, next=Step.INSTALL, detail="zone cellar is wet"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))  # no systemctl: nothing of this machine is started
    monkeypatch.setenv("REED_SOCKET", str(tmp_path / "nobody"))
    (tmp_path / "state").mkdir()
    (tmp_path / "gateway.toml").write_text(CONFIG)
    return tmp_path


def keep(home: Path, update: Update) -> None:
    Record(home / "state/update").save(Saved(update, "boot"))


def update(home: Path, *words: str) -> int:
    return main(["update", *words, "--config", str(home / "gateway.toml")])


def test_before_the_first_update_status_says_so(home: Path, capsys: pytest.CaptureFixture[str]):
    assert update(home, "status") == 0
    assert capsys.readouterr().out == "no update was ever asked for\n"


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (WAITING, "app 1.5.0 waits to be installed: zone cellar is wet"),
        (replace(WAITING, state=State.DOWNLOADING, percent=40, detail=""), "app 1.5.0 is downloaded (40 %)"),
        (replace(WAITING, state=State.SUCCEEDED, detail=""), "app 1.5.0 is installed and good"),
        (
            replace(WAITING, state=State.ROLLED_BACK, code="unhealthy", detail="sensor sump is silent"),
            "app 1.5.0 was taken back: unhealthy: sensor sump is silent",
        ),
    ],
)
def test_status_is_one_line(home: Path, capsys: pytest.CaptureFixture[str], shown: Update, line: str):
    keep(home, shown)
    assert update(home, "status") == 0
    assert capsys.readouterr().out == f"{line}\n"


def test_status_as_json_is_the_report(home: Path, capsys: pytest.CaptureFixture[str]):
    keep(home, WAITING)
    assert update(home, "status", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["update"]["update_id"], said["update"]["waits_for"], said["paused_s"]) == (
        "u1",
        "install",
        0,
    )


@pytest.mark.parametrize(("end", "status"), [(State.SUCCEEDED, 0), (State.ROLLED_BACK, 1)])
def test_following_shows_each_change_and_ends_with_it(
    home: Path, capsys: pytest.CaptureFixture[str], end: State, status: int
):
    keep(home, WAITING)

    def go_on() -> None:
        time.sleep(1.0)
        keep(home, replace(WAITING, state=State.VERIFYING, detail=""))
        time.sleep(1.0)
        keep(home, replace(WAITING, state=end, detail=""))

    thread = threading.Thread(target=go_on)
    thread.start()
    assert update(home, "status", "--follow") == status
    thread.join()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines][:2] == ["waits", "is"]
    assert len(lines) == 3


def test_progress_is_read_between_the_records(home: Path, capsys: pytest.CaptureFixture[str]):
    keep(home, replace(WAITING, state=State.INSTALLING, percent=0, detail=""))
    Record(home / "state/update").show_percent(73)
    update(home, "status")
    assert capsys.readouterr().out == "app 1.5.0 is installed (73 %)\n"


def test_who_may_not_read_the_record_hears_it_from_the_gateway(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (home / "state/update").mkdir()
    (home / "state/update/record.json").mkdir()  # unreadable for everybody, root included
    gateway = FakeGateway()
    gateway.state["update"] = {
        "update_id": "u7",
        "kind": "os",
        "version": "2.0",
        "state": "waiting",
        "waits_for": "reboot",
        "code": "",
        "detail": "",
        "percent": 0,
    }
    with served(home / "control", gateway):
        assert update(home, "status", "--socket", str(home / "control")) == 0
    assert capsys.readouterr().out == "os 2.0 waits to restart the machine\n"


def test_a_pause_is_shown_and_ended(home: Path, capsys: pytest.CaptureFixture[str]):
    assert update(home, "pause", "--for", "2h") == 0
    update(home, "status")
    update(home, "pause", "--off")
    update(home, "status")
    assert capsys.readouterr().out.splitlines() == [
        "updates are paused for 2 h",
        "no update was ever asked for",
        "updates are paused for 2 h",
        "updates go on",
        "no update was ever asked for",
    ]


def test_cancel_asks_the_runner_for_the_update_that_is_under_way(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    keep(home, WAITING)
    assert update(home, "cancel") == 0
    assert Mailbox(home / "state/update").take_named("cancel", "u1")
    assert "app 1.5.0" in capsys.readouterr().out


def test_a_trial_is_taken_back_on_request_and_nothing_else(home: Path, capsys: pytest.CaptureFixture[str]):
    keep(home, WAITING)
    assert update(home, "rollback") == 75
    assert capsys.readouterr().err == "reed-gateway: app 1.5.0 is not on trial; it can be cancelled\n"
    keep(home, replace(WAITING, state=State.VERIFYING))
    assert update(home, "rollback") == 0
    assert Mailbox(home / "state/update").take_named("undo", "u1")


def test_where_nothing_is_under_way_one_line_says_so(home: Path, capsys: pytest.CaptureFixture[str]):
    assert update(home, "cancel") == 75
    assert capsys.readouterr().err == "reed-gateway: no update is under way\n"


def test_the_version_before_the_last_good_update_is_wanted_back(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    assert update(home, "rollback") == 75
    assert "nothing to go back to" in capsys.readouterr().err
    good = replace(WAITING, state=State.SUCCEEDED, from_version="1.4.0", detail="")
    Record(home / "state/update").end(good)
    keep(home, good)

    assert update(home, "rollback") == 0
    order = Mailbox(home / "state/update").order()
    assert order is not None
    assert (order.kind, order.target, order.version) == (Kind.APP, "", "1.4.0")
    assert update(home, "rollback", "config") == 75


def test_a_file_that_is_no_update_is_refused_in_one_line(home: Path, capsys: pytest.CaptureFixture[str]):
    (home / "x").write_bytes(os.urandom(5000))
    assert update(home, "install", str(home / "x")) == 75
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is no update file" in said


def test_a_file_that_is_not_there_is_named(home: Path, capsys: pytest.CaptureFixture[str]):
    assert update(home, "install", str(home / "none")) == 74
    assert "none: cannot be read: No such file" in capsys.readouterr().err


def test_nothing_is_unpacked_while_another_update_is_under_way(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    keep(home, WAITING)
    (home / "x").write_bytes(b"")
    assert update(home, "install", str(home / "x")) == 75
    assert "another update is under way" in capsys.readouterr().err
    assert not (home / "state/update/spool").exists()


def test_a_gateway_without_a_state_folder_is_told_so(home: Path, capsys: pytest.CaptureFixture[str]):
    (home / "state").rmdir()
    assert update(home, "pause") == 74
    assert "was the gateway ever started?" in capsys.readouterr().err


def test_the_bar_ends_with_the_line(home: Path):
    keep(home, replace(WAITING, state=State.SUCCEEDED, detail=""))
    terminal = Terminal(["update", "status", "--follow", "--config", str(home / "gateway.toml")])
    try:
        terminal.until("is installed and good")
        assert terminal.process.wait(10) == 0
    finally:
        terminal.close()


def test_a_run_without_daemon_or_applier_ends_in_peace(home: Path):
    command = [sys.executable, "-m", "gateway", "update", "run", "--config", str(home / "gateway.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
