"""`reed-gateway building`: the process, and the hands."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from select import select

import pytest

from gateway.__main__ import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A building process with the demo's plan."""
    path = tmp_path_factory.mktemp("building") / "socket"
    command = [sys.executable, "-m", "gateway", "building", "--socket", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"building: {path}\n"
        yield path
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    assert not path.exists()


@pytest.fixture
def run(socket: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        status = main(["building", "--socket", str(socket), *arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def test_poke_changes_what_look_shows(run: Run):
    assert run("poke", "leak", "kitchen", "--l-per-min", "9") == (0, "", "")

    _, out, _ = run("look")
    assert json.loads(out)["pipes"]["kitchen"]["leak_l_per_min"] > 8
    assert run("poke", "dry", "kitchen") == (0, "", "")


@pytest.mark.parametrize(
    "poke",
    [
        ["tap", "main", "0"],
        ["soak", "kitchen-sink", "--for-s", "0"],
        ["press", "lobby", "--for-s", "0.05"],
        ["cut", "main-meter"],
        ["short", "main-meter"],
        ["mend", "main-meter"],
        ["stall", "main"],
        ["slow", "main", "2"],
        ["free", "main"],
        ["turn", "main", "open"],
        ["battery", "kitchen-sink", "50"],
        ["renew", "kitchen-sink"],
        ["replay", "plant-room-pump"],
        ["forge", "plant-room-pump"],
        ["chill", "plant-room", "-5"],
    ],
    ids=lambda poke: poke[0],
)
def test_every_poke_can_be_typed(run: Run, poke: list[str]):
    assert run("poke", *poke) == (0, "", "")


def test_impossible_poke_is_one_line_and_a_status(run: Run):
    status, out, err = run("poke", "stall", "attic")

    assert (status, out) == (69, "")
    assert err == 'reed-gateway: there is no valve "attic" in this building; it has main, kitchen\n'


def test_unknown_poke_is_wrong_usage(run: Run, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as left:
        run("poke", "dance")

    assert left.value.code == 64
    assert "invalid choice: 'dance'" in capsys.readouterr().err


def test_missing_building_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    status = main(["building", "--socket", str(tmp_path / "none"), "look"])

    assert status == 69
    assert "no simulated building listens there" in capsys.readouterr().err


def test_socket_must_be_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.delenv("REED_BUILDING", raising=False)

    assert main(["building", "look"]) == 78
    assert "name the building's socket" in capsys.readouterr().err


def test_wrong_plan_is_told_key_by_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    plan = tmp_path / "plan.toml"
    plan.write_text('[contact.a]\nroom = "x"\nline = "l"\n[contact.b]\nroom = "y"\nline = "l"\n')

    status = main(["building", "--plan", str(plan), "--socket", str(tmp_path / "socket")])

    assert status == 78
    assert capsys.readouterr().err.splitlines() == [
        'reed-gateway: contact.a.room: there is no "x"; the plan has none',
        'reed-gateway: contact.b.room: there is no "y"; the plan has none',
        'reed-gateway: contact.b.line: line "l" is also contact.a.line',
    ]


def test_observer_sees_what_others_do(socket: Path, run: Run):
    command = [sys.executable, "-m", "gateway", "building", "observe"]
    environment = {**os.environ, "REED_BUILDING": str(socket)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as observer:
        assert observer.stdout is not None
        # The observer says nothing until something happens, so something happens until it does.
        while not _readable(observer):
            run("poke", "press", "lobby", "--for-s", "0.01")
        seen = json.loads(observer.stdout.readline())
        observer.terminate()
        observer.wait(10)

    assert seen["type"] in ("contact", "advert")
    assert seen["at_s"] > 0


def _readable(process: subprocess.Popen[str]) -> bool:
    return bool(select([process.stdout], [], [], 0.1)[0])
