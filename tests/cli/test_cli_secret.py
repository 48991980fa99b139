"""`reed-gateway secret`: in, out, and never shown."""

import io
import json
import os
import stat
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.identity.opened import Opened
from tests.fakes.terminal import Terminal

KEY = "231d39c1d7cc1ab1aee224cd096db932"
CONFIG = """\
[gateway]
id = "house-7"
state_dir = "state"
runtime_dir = "run"
[board]
kind = "sim"
socket = "building.sock"
[identity]
key = "software"
allow_software_key = true
[sensor.sump]
kind = "bthome"
address = "54:48:E6:8F:80:A5"
key = "secret:sump"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    return path


def secret(config: Path, action: str, *words: str) -> int:
    return main(["secret", action, "--config", str(config), *words])


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def kept(config: Path, monkeypatch: pytest.MonkeyPatch, name: str = "sump", text: str = KEY) -> int:
    typed(monkeypatch, text + "\n")
    return secret(config, "set", name)


def test_a_secret_comes_from_standard_input_and_goes_to_the_gateway(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "run").mkdir()

    assert kept(config, monkeypatch) == 0

    assert capsys.readouterr().out == "sump: sealed by NOTHING (no TPM)\n"
    opened = tmp_path / "run" / "secrets" / "sump"
    assert opened.read_text() == KEY
    assert stat.S_IMODE(opened.stat().st_mode) == 0o600


def test_where_no_gateway_runs_nothing_is_laid_open(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kept(config, monkeypatch)

    assert not (tmp_path / "run").exists()


def test_how_to_use_a_secret_is_said_where_nobody_does(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    assert kept(config, monkeypatch, "roof") == 0
    assert f'write in {config}: key = "secret:roof"' in capsys.readouterr().out


def test_a_secret_that_is_typed_is_not_shown(config: Path):
    terminal = Terminal(["secret", "set", "sump", "--config", str(config)])
    try:
        terminal.until("sump: ")
        terminal.press(f"{KEY}\n")
        terminal.until_true(lambda: terminal.process.poll() is not None, "end")
    finally:
        terminal.close()

    assert terminal.process.returncode == 0
    assert KEY not in terminal.shown


@pytest.mark.parametrize(
    ("name", "text", "status", "complaint"),
    [
        ("sump", "12", 78, "sensor.sump.key: 2 characters; allowed: 32 hexadecimal digits"),
        ("roof", "", 77, "a secret has 1 to 128 bytes, this one 0"),
        ("roof", "x" * 129, 77, "a secret has 1 to 128 bytes, this one 129"),
        ("Roof", KEY, 77, "'Roof': a secret's name is 1 to 64 of"),
    ],
)
def test_a_secret_that_nobody_could_use_is_not_kept(  # noqa: PLR0917
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str,
    status: int,
    complaint: str,
):
    assert kept(config, monkeypatch, name, text) == status

    err = capsys.readouterr().err
    assert complaint in err
    assert err.count("\n") == 1
    assert secret(config, "list") == 0
    assert "there is none" in capsys.readouterr().out


def test_the_list_tells_who_seals_and_who_uses(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    kept(config, monkeypatch)
    kept(config, monkeypatch, "roof")
    capsys.readouterr()

    assert secret(config, "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["NAME", "SEALED", "BY", "OPEN", "USED", "BY"],
        ["roof", "NOTHING", "(no", "TPM)", "no", "-"],
        ["sump", "NOTHING", "(no", "TPM)", "no", "sump"],
    ]
    assert secret(config, "list", "--json") == 0
    told = json.loads(capsys.readouterr().out)["secrets"]
    assert told[1] == {"name": "sump", "sealed_by": "nothing", "open": False, "sensors": ["sump"]}


def test_a_secret_never_stands_in_what_is_printed(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "run").mkdir()
    kept(config, monkeypatch)
    for action in ("list", "open"):
        secret(config, action)

    captured = capsys.readouterr()
    assert KEY not in captured.out + captured.err


def test_a_secret_is_removed_here_and_in_memory_and_its_users_are_named(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "run").mkdir()
    kept(config, monkeypatch)
    capsys.readouterr()

    assert secret(config, "remove", "sump") == 0

    assert "note: sensor.sump still speaks of it" in capsys.readouterr().out
    assert list((tmp_path / "run" / "secrets").iterdir()) == []
    assert secret(config, "remove", "sump") == 77
    assert "there is no secret sump" in capsys.readouterr().err


def test_all_are_opened_before_the_gateway_starts(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    kept(config, monkeypatch)
    kept(config, monkeypatch, "roof")
    capsys.readouterr()
    monkeypatch.setattr(Opened, "is_in_memory", lambda _self: False)

    assert secret(config, "open") == 0

    assert {path.name for path in (tmp_path / "run" / "secrets").iterdir()} == {"sump", "roof"}
    out = capsys.readouterr().out.splitlines()
    assert out == [f"note: {tmp_path}/run is not in memory: a copied card has the secrets", "2 open"]


def test_one_that_stays_closed_is_told_and_costs_no_other(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    kept(config, monkeypatch)
    kept(config, monkeypatch, "roof")
    (tmp_path / "state" / "identity" / "secrets" / "roof").write_text("garbage")
    capsys.readouterr()

    assert secret(config, "open") == 69

    captured = capsys.readouterr()
    assert captured.err == (
        "reed-gateway: secret roof stays closed: secret roof is damaged; "
        "set it again: reed-gateway secret set roof\n"
    )
    assert "1 open" in captured.out


def test_no_secret_at_all_is_no_failure(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert secret(config, "open") == 0
    assert capsys.readouterr().out == "0 open\n"
    assert not (tmp_path / "run").exists()


def test_credentials_of_systemd_are_opened_too(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "sump").write_text(KEY)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))

    assert secret(config, "open") == 0
    assert (tmp_path / "run" / "secrets" / "sump").read_text() == KEY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_keeps_the_daemons_user_can_read(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    os.chown(tmp_path / "state", 4711, 4712)
    kept(config, monkeypatch)
    secret(config, "open")

    paths = [*(tmp_path / "state").rglob("*"), *(tmp_path / "run").rglob("*")]
    assert {path.stat().st_uid for path in paths} == {4711}


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_what_is_no_text_is_no_secret_and_not_shown(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], errors: str
):
    typed_bytes = io.TextIOWrapper(io.BytesIO(b"231d39c1\xff"), encoding="utf-8", errors=errors)
    monkeypatch.setattr("sys.stdin", typed_bytes)

    assert secret(config, "set", "sump") == 78

    err = capsys.readouterr().err
    assert err == "reed-gateway: sump: the secret is no text\n"


def test_who_may_not_look_is_told_so_when_removing(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def refused(path: Path, **_options: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refused)

    assert secret(config, "remove", "sump") == 77
    assert capsys.readouterr().err.endswith("secrets/sump: Permission denied; try with sudo\n")
