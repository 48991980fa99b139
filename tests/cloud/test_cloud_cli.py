"""`reed-cloud` as it is typed: what it prints, one line for each failure, and what it does on a home."""

import argparse
import contextlib
import json
import os
import pkgutil
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from cloud import __version__, cli, errors
from cloud.__main__ import build_parser, main
from cloud.cli import access, table
from cloud.cli import ca as ca_command
from cloud.home import Home
from cloud.registry import services
from cloud.registry.parts import parts
from tests.cloud.conftest import ROOT_PASSPHRASE
from tests.cloud.reed_cloud import environment

DOCUMENT = (Path(__file__).parents[2] / "docs" / "cloud-cli.md").read_text(encoding="utf-8")


def typed(*arguments: object) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


class Operator:
    """Types commands on one home, and reads what they print."""

    def __init__(self, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
        self.home = home
        self._capsys = capsys
        self.said = ""
        self.complained = ""

    def types(self, *words: object) -> int:
        status = typed(*words, "--home", self.home.folder)
        captured = self._capsys.readouterr()
        self.said, self.complained = captured.out, captured.err
        return status

    def json(self, *words: object) -> object:
        assert self.types(*words, "--json") == 0, self.complained
        assert self.said.count("\n") == 1
        return json.loads(self.said)


@pytest.fixture
def operator(home: Home, capsys: pytest.CaptureFixture[str]) -> Operator:
    """Return somebody at a home without a broker: what asks for one is refused at once."""
    text = home.settings_file.read_text()
    home.settings_file.write_text(f"{text}\n[broker]\nadmin_port = 1\n")
    return Operator(home, capsys)


# --- usage ----------------------------------------------------------------------------------------------


def test_version_is_told(capsys: pytest.CaptureFixture[str]):
    assert typed("--version") == 0
    assert capsys.readouterr().out == f"reed-cloud {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("no-such-command",),
        ("access",),
        ("run", "--no-such-option"),
        ("token",),
        ("gateway",),
        ("gateway", "explode", "a"),
        ("gateway", "deny", "house-7"),
        ("token", "create", "a", "--for", "forever"),
        ("token", "create", "a", "--for", "1e9s"),
        ("ca", "root", "--drop", "zz"),
        ("audit", "--limit", "0"),
        ("audit", "--limit", "many"),
        ("init", "--https-port", "99999"),
        ("init", "--https-port", "²"),
        ("init", "--bind", "everywhere"),
    ],
)
def test_wrong_usage_is_one_line_and_64(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]):
    assert typed(*arguments) == os.EX_USAGE
    assert re.fullmatch(r"reed-cloud.*: .*; see: reed-cloud.* --help\n", capsys.readouterr().err)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]):
    assert typed("--help") == 0
    shown = capsys.readouterr().out
    for word in ("init", "run", "token", "gateway", "ca", "audit"):
        assert re.search(rf"^    {word} ", shown, re.MULTILINE), word


def test_help_and_wrong_usage_need_no_django():
    code = (
        "import sys\nfrom cloud.__main__ import main\n"
        "try:\n    main(['gateway', 'deny', '--help'])\nexcept SystemExit: pass\n"
        "assert 'django' not in sys.modules and 'cryptography' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=environment())


def verbs(parser: argparse.ArgumentParser, before: str = "") -> list[str]:
    """Return every command with its verbs, as they are typed."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return [
                word for name, below in action.choices.items() for word in verbs(below, f"{before}{name} ")
            ]
    return [before.strip()]


def test_every_command_and_every_option_is_documented():
    names = verbs(build_parser())
    assert {"init", "run", "token create", "gateway deny", "ca crl", "audit"} <= set(names)
    for name in names:
        assert f"`{name}" in DOCUMENT, name


def test_every_exit_status_is_documented():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    documented = {int(number) for number in re.findall(r"^\| (\d+) \|", DOCUMENT, re.MULTILINE)}

    assert {getattr(kind, "exit_status", 0) for kind in kinds} | {64, 74, 77, 130} <= documented


def test_every_command_module_keeps_the_convention():
    names = [info.name for info in pkgutil.iter_modules(cli.__path__)]
    assert {"init", "run", "token", "gateway", "ca", "audit"} <= set(names)


ANY_WORD = st.one_of(
    st.text(max_size=80),
    st.sampled_from(
        [
            "token", "create", "gateway", "list", "show", "expect", "deny", "grant", "retire", "ca", "root",
            "intermediate", "crl", "audit", "--verify", "--json", "--reason", "--for", "--site", "--state",
            "--limit", "--drop", "--give-up", "-1", "house-7", "\x00", "é", "24h", "--root-passphrase-file",
        ]
    ),
)  # fmt: skip


@given(st.lists(ANY_WORD, max_size=8))
def test_no_arguments_whatever_end_in_a_traceback(words: list[str]):
    """On a folder where nothing is: everything must be refused, or be help."""
    if "init" in words or any("\x00" in word and not word.isprintable() for word in words[-1:]):
        return
    status = typed(*words, "--home", "/nonexistent/reed-cloud")
    assert status in (0, os.EX_USAGE, os.EX_CONFIG)


# --- on a home ------------------------------------------------------------------------------------------


def test_a_gateway_is_expected_gets_a_token_and_is_listed(operator: Operator):
    assert operator.types("gateway", "expect", "house-7", "--site", "Main Street") == 0
    assert operator.said == "house-7 is expected; next: reed-cloud token create house-7\n"

    assert operator.types("token", "create", "house-7") == 0
    assert re.fullmatch(r"house-7\.[a-z2-7]{26}\.[A-Za-z0-9_-]{43}\n", operator.said)

    assert operator.types("gateway", "list") == 0
    assert re.search(r"^house-7  Main Street  expected ", operator.said, re.MULTILINE)
    rows = operator.json("gateway", "list", "--state", "denied")
    assert rows == []


def test_a_token_is_shown_once_and_stands_nowhere(operator: Operator):
    operator.types("gateway", "expect", "house-7")
    operator.types("token", "create", "house-7")
    secret = operator.said.split(".")[1]

    for words in (("gateway", "show", "house-7"), ("audit",)):
        operator.types(*words)
        assert secret not in operator.said
    connection.close()
    database = operator.home.database_file
    if database.exists():
        assert secret.encode() not in database.read_bytes()


def test_a_token_may_be_good_for_as_long_as_one_says(operator: Operator):
    operator.types("gateway", "expect", "house-7")
    made = operator.json("token", "create", "house-7", "--for", "24h")

    assert isinstance(made, dict)
    assert made["valid_for_s"] == 86_400
    assert made["url"].startswith("https://")
    services.check_token("house-7", made["token"].split(".")[1])


def test_a_qr_code_is_drawn_below_the_token(operator: Operator):
    pytest.importorskip("segno")
    operator.types("gateway", "expect", "house-7")

    assert operator.types("token", "create", "house-7", "--qr") == 0
    token, *drawing = operator.said.splitlines()
    assert token.startswith("house-7.")
    assert len(drawing) > 20


def test_without_the_package_for_it_a_qr_code_is_refused_before_a_token_is_made(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
):
    operator.types("gateway", "expect", "house-7")
    monkeypatch.setitem(sys.modules, "segno", None)

    assert operator.types("token", "create", "house-7", "--qr") == os.EX_CONFIG
    assert "segno" in operator.complained
    assert not services.find("house-7").tokens.exists()


def test_an_unknown_gateway_is_65_and_one_line(operator: Operator):
    for words in (
        ("token", "create", "nobody"),
        ("gateway", "show", "nobody"),
        ("gateway", "deny", "nobody", "--reason", "x"),
    ):
        assert operator.types(*words) == os.EX_DATAERR
        assert re.fullmatch("reed-cloud: .*nobody.*\n", operator.complained)


def test_a_name_that_is_none_is_refused(operator: Operator):
    for name in ("House-7", "a" * 64, "a b", "ingest", "é"):
        assert operator.types("gateway", "expect", name) == os.EX_NOPERM, name
        assert operator.complained.count("\n") == 1


def test_expected_again_a_gateway_stays_at_its_site(operator: Operator):
    operator.types("gateway", "expect", "house-7", "--site", "Main Street")

    assert operator.types("gateway", "expect", "house-7") == 0
    assert services.find("house-7").site.name == "Main Street"


def test_a_denial_stands_even_if_the_broker_is_away_and_says_who_goes_on(operator: Operator):
    operator.types("gateway", "expect", "house-7")

    assert operator.types("gateway", "deny", "house-7", "--reason", "lost") == os.EX_UNAVAILABLE

    assert operator.complained.count("\n") == 1
    assert "`reed-cloud run` does it when it starts" in operator.complained
    shown = operator.json("gateway", "show", "house-7")
    assert isinstance(shown, dict)
    assert (shown["state"], shown["reason"]) == ("denied", "lost")


def test_a_retired_gateway_cannot_be_granted(operator: Operator):
    operator.types("gateway", "expect", "house-7")
    operator.types("gateway", "retire", "house-7", "--reason", "stolen")

    assert operator.types("gateway", "grant", "house-7", "--reason", "found") == os.EX_NOPERM
    assert "retired" in operator.complained


def test_the_audit_trail_names_who_did_what_and_why_the_newest_last(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(access.os, "getuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "alice")
    operator.types("gateway", "expect", "house-7")
    operator.types("gateway", "deny", "house-7", "--reason", "it floods us")

    entries = operator.json("audit", "--gateway", "house-7")

    assert isinstance(entries, list)
    assert [entry["action"] for entry in entries[:2]] == ["expect", "deny"]
    assert entries[1]["actor"] == "cli:alice"
    assert entries[1]["reason"] == "it floods us"
    assert [entry["seq"] for entry in entries] == sorted(entry["seq"] for entry in entries)


def test_a_sound_trail_verifies_and_one_that_was_changed_does_not(operator: Operator):
    operator.types("gateway", "expect", "house-7")
    assert operator.types("audit", "--verify") == 0
    assert re.match(r"\d+ entries, none changed, none missing; head [0-9a-f]{64}", operator.said)

    with connection.cursor() as cursor:
        if connection.vendor != "sqlite":
            pytest.skip("here by SQLite's own means")
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'registry_auditentry'"
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f'DROP TRIGGER "{name}"')
        cursor.execute("UPDATE registry_auditentry SET actor = 'nobody' WHERE seq = 2")

    assert operator.types("audit", "--verify") == 1
    assert "entry 2 was changed" in operator.said
    verdict = json.loads(operator.said) if operator.types("audit", "--verify", "--json") == 1 else None
    assert verdict is not None


def test_a_head_that_was_kept_elsewhere_must_still_be_in_the_trail(operator: Operator):
    operator.types("gateway", "expect", "house-7")
    operator.types("audit", "--verify")
    head = operator.said.split()[-1]
    operator.types("gateway", "expect", "house-8")

    assert operator.types("audit", "--verify", "--head", head) == 0
    assert operator.types("audit", "--verify", "--head", "ab" * 32) == 1
    assert "kept elsewhere" in operator.said
    assert operator.types("audit", "--head", head) != 0


def test_warnings_are_shown_with_the_authority(operator: Operator, monkeypatch: pytest.MonkeyPatch):
    assert operator.json("ca", "show")["warnings"] == []  # type: ignore[call-overload, index]

    monkeypatch.setattr("cloud.registry.outlook._SAFES_ARE_FAR", timedelta(days=6 * 365))
    assert operator.types("ca", "show") == 0
    assert re.search(r"^warning: the intermediate ends on ", operator.said, re.MULTILINE)


def test_the_authority_is_shown_with_what_is_in_use(operator: Operator):
    assert operator.types("ca", "show") == 0
    assert re.search(r"^root +reed root", operator.said, re.MULTILINE)
    assert re.search(r"^intermediate .* issues$", operator.said, re.MULTILINE)
    assert re.search(r"^service +web ", operator.said, re.MULTILINE)
    assert "carry the root's key away" in operator.said

    shown = operator.json("ca", "show")
    assert isinstance(shown, dict)
    assert {each["kind"] for each in shown["certificates"]} == {"root", "intermediate", "service"}


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(ROOT_PASSPHRASE)
    return path


def test_an_intermediate_is_made_with_the_roots_key_and_issues_at_once(
    operator: Operator, passphrase_file: Path
):
    before = parts().issuer.intermediates()[0]
    operator.types("ca", "intermediate", "--root-passphrase-file", passphrase_file)

    assert "issues from now on" in operator.said
    after = parts().issuer.intermediates()
    assert after[0] != before
    assert before in after


def test_a_root_is_made_beside_the_present_one_and_cannot_be_used_too_soon(
    operator: Operator, passphrase_file: Path
):
    operator.types("ca", "root")
    assert "never again" in operator.said
    assert len(parts().issuer.roots()) == 2

    status = operator.types("ca", "intermediate", "--root-passphrase-file", passphrase_file)
    assert status in (os.EX_CONFIG, os.EX_IOERR)  # the newest root has another passphrase, or is too new
    assert operator.complained.count("\n") == 1


def test_without_a_terminal_nobody_is_asked_for_a_passphrase(operator: Operator):
    assert operator.types("ca", "intermediate") == os.EX_CONFIG
    assert "--root-passphrase-file" in operator.complained


def test_a_wrong_passphrase_is_one_line(operator: Operator, tmp_path: Path):
    wrong = tmp_path / "wrong"
    wrong.write_text("not the passphrase of this root\n")

    assert operator.types("ca", "intermediate", "--root-passphrase-file", wrong) == os.EX_IOERR
    assert operator.complained.count("\n") == 1


def test_a_missing_root_folder_says_what_to_bring(operator: Operator, tmp_path: Path, passphrase_file: Path):
    words = ("--root-folder", tmp_path / "usb", "--root-passphrase-file", passphrase_file)

    assert operator.types("ca", "intermediate", *words) == os.EX_CONFIG
    assert "bring the root's key" in operator.complained


def test_somebody_elses_home_is_refused_with_what_to_type(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
):
    owner = operator.home.folder.stat().st_uid
    monkeypatch.setattr(access.os, "geteuid", lambda: owner + 1)

    for words in (("gateway", "list"), ("run",), ("audit",)):
        assert operator.types(*words) == os.EX_CONFIG
        assert re.search(r"belongs to \w+; run: sudo -u \w+ reed-cloud", operator.complained)


def test_a_reader_that_leaves_early_is_no_failure(home: Home):
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "cloud", "ca", "show", "--home", str(home.folder)]
    done = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, check=False, env=environment())
    os.close(write_end)

    assert (done.returncode, done.stderr) == (0, b"")


# --- words ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length_s", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (86_399, "23 h"), (3e6, "34 d")],
)
def test_lengths_of_time_have_their_biggest_unit(length_s: float, text: str):
    assert table.duration(length_s) == text


@pytest.mark.parametrize(
    ("text", "length_s"), [("90", 90), ("90s", 90), ("15m", 900), ("1.5h", 5400), ("7d", 604_800)]
)
def test_lengths_of_time_are_read(text: str, length_s: float):
    assert table.seconds(text) == length_s


@given(st.text(max_size=30))
def test_anything_else_is_no_length_of_time(text: str):
    with contextlib.suppress(argparse.ArgumentTypeError):
        assert 0 <= table.seconds(text) <= 366 * 86_400


def test_a_moment_is_told_with_its_distance():
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)

    assert table.when(now) == "2026-11-23 12:00 UTC"
    assert table.when(None) == "-"
    assert table.distance(now + timedelta(days=29), now) == "in 29 d"
    assert table.distance(now - timedelta(hours=2), now) == "2 h ago"


@given(st.text(max_size=80))
def test_an_id_of_an_authority_is_hexadecimal_or_refused(text: str):
    with contextlib.suppress(argparse.ArgumentTypeError):
        assert re.fullmatch("[0-9a-f]{8,64}", ca_command._hex(text))
