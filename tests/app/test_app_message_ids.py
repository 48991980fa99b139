"""Whatever can be raised is explained: in the journal's catalog, and to persons in docs/operations.md."""

import ast
import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app import message_ids, narrate
from gateway.control.daemon import Message
from gateway.domain.effects import Raise
from gateway.domain.indicator import RHYTHMS
from gateway.domain.leak import health
from gateway.domain.model import Channel, LedPattern
from gateway.domain.update.words import State
from gateway.domain.valve.model import CONDITIONS

ROOT = Path(__file__).parents[2]
CATALOG = ROOT / "systemd" / "reed-gateway.catalog"
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

TABLES = {"leak/health.py": health._KINDS, "valve/turn.py": tuple(CONDITIONS)}
"""Where kinds come out of a table."""

TAKEN_AS_IT_COMES = {"alarm/state.py"}
"""Where an alarm is made of what was remembered."""


def kinds() -> Iterator[str]:
    """Every kind of alarm that the domain can raise, found in its source."""
    domain = ROOT / "gateway" / "domain"
    for path in sorted(domain.rglob("*.py")):
        name = path.relative_to(domain).as_posix()
        module = "gateway.domain." + name.removesuffix(".py").replace("/", ".")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and getattr(call.func, "id", "") == Raise.__name__):
                continue
            if name in TABLES:
                yield from TABLES[name]
            elif name not in TAKEN_AS_IT_COMES:
                yield kind_of(call.args[0], module)


def kind_of(argument: ast.expr, module: str) -> str:
    match argument:
        case ast.Constant(value=str(kind)):
            return kind
        case ast.Name(id=name):
            value = getattr(importlib.import_module(module), name, None)
            # adapters.py takes apart the pair that names the alarm
            return value if isinstance(value, str) else "cloud-lost"
        case ast.Starred(value=ast.Name(id=name)):
            return str(getattr(importlib.import_module(module), name)[0])
    raise AssertionError(f"{module}: the kind of this alarm cannot be told: {ast.dump(argument)}")


def entries() -> dict[str, str]:
    """The catalog: text by id."""
    parts = re.split(r"^-- ([0-9a-f]{32})\n", CATALOG.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(parts[1::2]) == len(set(parts[1::2]))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def all_ids() -> dict[str, str]:
    names = ("ACKNOWLEDGED", "OVER", "READY", "FAILED")
    others = {name: getattr(message_ids, name) for name in names}
    events = {f"event {kind}": each for kind, each in message_ids.EVENTS.items()}
    updates = {f"update {state}": each for state, each in message_ids.UPDATES.items()}
    return message_ids.ALARMS | events | updates | others


def test_every_alarm_that_can_be_raised_has_an_id():
    raised = set(kinds())

    assert len(raised) > 20
    assert raised == {key for key in message_ids.ALARMS if not key.startswith("adapter/")}


def test_no_two_messages_share_an_id():
    ids = list(all_ids().values())

    assert len(ids) == len(set(ids))
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


def test_every_message_is_explained_in_the_catalog_and_nothing_else_is():
    explained = entries()

    assert set(explained) == set(all_ids().values())
    for text in explained.values():
        assert re.match(
            r"Subject: \S.*\nDefined-By: reed-gateway\nDocumentation: man:reed-gateway\(1\)\n\n\S", text
        )


def test_the_catalog_speaks_only_of_fields_that_the_lines_have():
    known = {f"REED_{key.upper()}" for key in narrate._CARRIED} | {"REED_ALARM", "REED_SUBJECT"}
    known |= {f"REED_{thing.upper()}" for thing in narrate._THINGS}

    assert set(re.findall(r"@(\w+)@", CATALOG.read_text(encoding="utf-8"))) <= known


def test_every_state_of_an_update_is_told_with_an_id_and_its_reason(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "gateway")
    told = {
        "update_id": "u-1",
        "kind": "os",
        "version": "1.4.0",
        "detail": "sensor cellar is silent",
        "code": "x",
    }
    for state in State:
        body = told | {"state": state.value, "waits_for": "reboot" if state == "waiting" else ""}
        narrate.narrate(Message("7/1", Channel.EVENT, "update", body, None, 1.0))

    lines = {record.getMessage(): record.message_id for record in caplog.records}  # type: ignore[attr-defined]
    assert (
        lines["update of os to 1.4.0: waiting to reboot: sensor cellar is silent"]
        == (message_ids.UPDATES["waiting"])
    )
    assert (
        lines["update of os to 1.4.0: rolled back: sensor cellar is silent"]
        == (message_ids.UPDATES["rolled_back"])
    )
    assert len(lines) == len(State)
    assert set(lines.values()) == {*message_ids.UPDATES.values(), message_ids.EVENTS["update"]}


def test_every_kind_of_message_that_is_told_has_an_id_and_the_other_way_round():
    assert set(narrate._TELLERS) - {"alarm"} == set(message_ids.EVENTS)


@pytest.mark.skipif(shutil.which("journalctl") is None, reason="journalctl is not there")
def test_journalctl_takes_the_catalog(tmp_path: Path):
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    shutil.copy(CATALOG, folder)
    root = f"--root={tmp_path}"

    made = subprocess.run(
        ["journalctl", root, "--update-catalog"], capture_output=True, text=True, check=False
    )
    listed = subprocess.run(
        ["journalctl", root, "--list-catalog"], capture_output=True, text=True, check=True
    )

    assert (made.returncode, made.stderr) == (0, "")
    assert {line.split()[0] for line in listed.stdout.splitlines()} == set(all_ids().values())


@pytest.mark.parametrize("kind", sorted(message_ids.ALARMS))
def test_every_alarm_stands_in_the_handbook_with_what_to_do(kind: str):
    row = re.search(rf"^\| `{re.escape(kind)}` \| (.+) \| (.+) \|$", OPERATIONS, re.MULTILINE)

    assert row is not None
    assert min(len(cell) for cell in row.groups()) > 15


@pytest.mark.parametrize("pattern", LedPattern)
def test_every_light_stands_in_the_handbook_with_its_rhythm(pattern: LedPattern):
    rhythm = " ".join(f"{each:g}" for each in RHYTHMS[pattern]) or "steady"

    assert re.search(
        rf"^\| `{pattern.value}` \| {re.escape(rhythm)} \| .+ \| .+ \|$", OPERATIONS, re.MULTILINE
    )


def test_the_handbook_speaks_of_no_alarm_that_does_not_exist():
    table = OPERATIONS.partition("<!-- alarms -->")[2].partition("<!-- end -->")[0]

    assert set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)) == set(message_ids.ALARMS)
