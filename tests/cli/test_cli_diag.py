"""Support bundles: what is in them, what is not, and that nobody is surprised."""

import json
import re
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.cli.diag import machine, redact
from gateway.cli.diag.names import Names, names_in
from tests.fakes.gateway import Served, served
from tests.fakes.terminal import Terminal

KEY = "231d39c1d7cc1ab1aee224cd096db932"
LYING_OPEN = "00112233445566778899aabbccddeeff"
UNKNOWN = "hunter2-of-the-old-firmware"
TOKEN = f"house-7.k2oj2slj6ehqo4k32ynyttfnyy.{'x' * 43}"

CONFIG = f"""
[gateway]
id = "hq-01"
state_dir = "state"
runtime_dir = "run"
[board]
kind = "sim"
socket = "building.sock"
[zone.plant-room]
name = "Plant room"
sensors = ["pump", "cellar"]
action = "notify"
[sensor.pump]
kind = "bthome"
name = "Under the pump"
address = "A4:C1:38:00:00:01"
key = "{KEY}"
[sensor.cellar]
kind = "bthome"
address = "A4:C1:38:00:00:02"
key = "secret:cellar"
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "control") as running:
        running.gateway.publish(
            "valve", {"valve_id": "main", "cause": f"said {KEY} aloud", "actor": "bob@example.com"}
        )
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIG)
    (tmp_path / "run" / "secrets").mkdir(parents=True)
    (tmp_path / "run" / "secrets" / "cellar").write_text(LYING_OPEN)
    return file


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The journal of the machine, which the test may write to."""
    lines = ["2026-11-23T05:00:00+0000 reed-gateway[1]: valve main closed, by local:uid:0: Otto lives here"]
    monkeypatch.setattr(machine, "journal", lambda: "\n".join(lines))
    return lines


def diag(config: Path, gateway: Served | None, *words: str) -> int:
    socket = gateway.config.socket if gateway else config.parent / "nobody"
    return main(["diag", "--config", str(config), "--socket", str(socket), *words])


def bundle(config: Path, gateway: Served | None, *words: str) -> dict[str, str]:
    """Make a bundle; return its files."""
    made = config.parent / "bundle.tar.gz"
    assert diag(config, gateway, "--yes", "--output", str(made), *words) == 0
    with tarfile.open(made) as tar:
        return {
            Path(entry.name).name: tar.extractfile(entry).read().decode()  # type: ignore[union-attr]
            for entry in tar.getmembers()
        }


def test_a_bundle_holds_what_its_list_says_and_nothing_else(
    gateway: Served, config: Path, capsys: pytest.CaptureFixture[str]
):
    files = bundle(config, gateway)

    listed = re.findall(r"^(\S+\.\w+) +(\d+) ", capsys.readouterr().out, re.MULTILINE)
    assert {name: len(text.encode()) for name, text in files.items()} == {
        name: int(size) for name, size in listed
    }
    assert set(files) == {
        "about.json",
        "versions.json",
        "configuration.json",
        "check.json",
        "status.json",
        "messages.json",
        "metrics.prom",
        "identity.json",
        "machine.json",
        "journal.txt",
    }
    assert json.loads(files["status.json"])["zones"]["plant-room"]["state"] == "alarm"
    assert json.loads(files["about.json"])["missing"] == []


def test_no_secret_of_the_configuration_and_none_that_lies_open_is_in_it(
    gateway: Served, config: Path, log: list[str]
):
    log += [f"key {KEY.upper()} of {LYING_OPEN}", f"enrolled with {TOKEN}", f"odd {UNKNOWN}"]
    config.write_text(f'{CONFIG}\n[link]\nold_firmware = "{UNKNOWN}"\nhost = "broker.example.com"\n')

    files = bundle(config, gateway)

    everything = "\n".join(files.values())
    for secret in (KEY, KEY.upper(), LYING_OPEN, UNKNOWN, TOKEN):
        assert secret not in everything
    shown = json.loads(files["configuration.json"])
    assert shown["sensor"]["pump"]["key"] == redact.HIDDEN
    assert shown["sensor"]["cellar"]["key"] == "secret:cellar"
    assert shown["link"] == {"old_firmware": redact.HIDDEN, "host": "broker.example.com"}


@pytest.mark.parametrize(
    "text",
    [
        f'key = "{KEY}"',
        f'[sensor]\npump = "{KEY}"',
        f'[sensor.pump]\nkind = "nonsense"\nkey = "{KEY}"',
        f'[sensor.pump]\nkind = "bthome"\nKey = "{KEY}"',
        f'[sensor.pump]\nkind = "bthome"\naddress = "{KEY}"',
        f'[sensor.pump]\nkind = "bthome"\nname = {{ key = "{KEY}" }}',
        f'[sensor.pump]\nkind = "bthome"\nkey = ["{KEY}", 1]',
        f'[sensor.{KEY}]\nkind = "contact"',
        f'[link]\npassword = "{UNKNOWN}"',
        f'[link.login]\nhost = "{UNKNOWN}"',
        f'[broker]\nuser = "reed"\npass = "{UNKNOWN}"',
        f'"{UNKNOWN}" = 1',
        f'[gateway]\nid = "hq-01"\nmqtt_url = "mqtt://reed:{UNKNOWN}@broker"',
        f'[[sensor]]\nkey = "{KEY}"',
        f'key = "{KEY}',
    ],
)
def test_a_secret_in_the_wrong_place_is_not_in_it_either(config: Path, text: str):
    config.write_text(text)

    everything = "\n".join(bundle(config, None).values())

    assert KEY not in everything
    assert UNKNOWN not in everything


def test_without_gateway_and_configuration_there_is_a_bundle_that_says_what_is_missing(tmp_path: Path):
    files = bundle(tmp_path / "none.toml", None)

    missing = json.loads(files["about.json"])["missing"]
    assert [line.partition(":")[0] for line in missing] == [
        "configuration.json",
        "status.json",
        "messages.json",
        "metrics.prom",
        "identity.json",
    ]
    assert "machine.json" in files


def test_names_are_hashed_the_same_in_all_files_and_differently_each_time(gateway: Served, config: Path):
    files = bundle(config, gateway, "--hash-names")

    everything = "\n".join(files.values())
    for name in ("plant-room", "Plant room", "pump", "Under the pump", "hq-01", "bob@example.com", "Otto"):
        assert name not in everything
    [zone] = json.loads(files["configuration.json"])["zone"]
    assert re.fullmatch("name-[0-9a-f]{8}", zone)
    assert zone in json.loads(files["status.json"])["zones"]
    assert f"leak/zone/{zone}" in files["status.json"]
    assert f'subject="zone/{zone}"' in files["metrics.prom"]
    (config.parent / "bundle.tar.gz").unlink()
    assert zone not in bundle(config, gateway, "--hash-names")["configuration.json"]


def test_a_thing_called_like_a_word_of_ours_does_not_hide_that_word():
    document = {"zone": {"state": {"name": "wet"}}}
    names = Names(names_in(document))

    hashed = names.value({"zones": {"state": {"state": "dry", "name": "wet"}}})

    [entry] = hashed["zones"].values()
    assert entry["state"] == "dry"
    assert entry["name"].startswith("name-")


def test_a_name_is_replaced_as_a_whole_word_only():
    names = Names(["main", "main-2"])

    assert names.text("main-2 and domain and main_x").count("name-") == 1
    assert "main-2" not in names.text("valve/main-2: ok")


def test_nothing_is_written_with_list(
    gateway: Served, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    before = {*tmp_path.rglob("*")}

    assert diag(config, gateway, "--list") == 0

    assert {*tmp_path.rglob("*")} == before
    assert "configuration.json" in capsys.readouterr().out


def test_nothing_is_written_where_nobody_can_be_asked(
    gateway: Served, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    made = tmp_path / "bundle.tar.gz"

    assert diag(config, gateway, "--output", str(made)) == 78
    assert not made.exists()
    assert capsys.readouterr().err == "reed-gateway: --yes: missing; nobody can be asked here\n"


@pytest.mark.parametrize(("answer", "is_written"), [("y", True), ("n", False), ("", False)])
def test_a_person_sees_the_list_and_decides(
    gateway: Served, config: Path, tmp_path: Path, answer: str, is_written: bool
):
    made = tmp_path / "bundle.tar.gz"
    words = ["diag", "--config", str(config), "--socket", str(gateway.config.socket), "--output", str(made)]
    terminal = Terminal(words)
    try:
        terminal.until("write these")
        assert "configuration.json" in terminal.shown
        assert not made.exists()
        terminal.press(f"{answer}\n")
        terminal.until_true(lambda: terminal.process.poll() is not None, "end")
    finally:
        terminal.close()

    assert made.exists() is is_written
    assert terminal.process.returncode == (0 if is_written else 1)


def test_a_bundle_is_for_its_owner_and_overwrites_nothing(
    gateway: Served, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    bundle(config, gateway)
    made = tmp_path / "bundle.tar.gz"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    before = made.read_bytes()

    assert diag(config, gateway, "--yes", "--output", str(made)) == 74

    assert made.read_bytes() == before
    assert "exists already; give another --output" in capsys.readouterr().err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".bundle")]
