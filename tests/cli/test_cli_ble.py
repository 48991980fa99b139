"""`reed-gateway ble`: bleak and the commands on a real dbus-daemon and a working model of bluetoothd."""

import asyncio
import contextlib
import json
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.__main__ import main
from gateway.cli import config_file
from gateway.cli.ble import ears
from gateway.cli.ble.adopt import adopt
from gateway.config.read import read
from gateway.errors import ConfigError, DriverError, StoreError
from gateway.sim.radio import Status, bthome, switchbot
from tests.fakes import dbus
from tests.fakes.bluez import Adapter, BlueZ
from tests.fakes.gateway import Served, served
from tests.fakes.terminal import Terminal

pytestmark = pytest.mark.skipif(dbus.PROGRAM is None, reason="no dbus-daemon here: apt install dbus")

PLAIN, KEYED, KNOWN, PHONE = (f"54:48:E6:8F:00:0{n}" for n in range(1, 5))
KEY = "231d39c1d7cc1ab1aee224cd096db932"
CONFIG = """\
# the house at the canal
[gateway]
id = "hq-01"

[board]
kind = "sim"
socket = "/run/nobody"

[sensor.cellar]   # behind the boiler
kind = "switchbot"
address = "54:48:E6:8F:00:03"

[valve.main]
kind = "spring_return"
open_line = "main"

[zone.plant-room]
sensors = ["cellar"]  # more to come
valves = ["main"]
"""

Air = Callable[..., None]


@pytest.fixture
def air(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Air]:
    """Put a sender on the air."""
    with dbus.private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        command = [sys.executable, "-m", "tests.fakes.bluez_process"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as model:
            assert model.stdin is not None
            assert model.stdout is not None
            assert model.stdout.readline() == "ready\n"

            def send(address: str, sent: tuple, name: str = "") -> None:
                told = {
                    "address": address,
                    "name": name,
                    "service": {f"{uuid:04x}": data.hex() for uuid, data in sent[0].items()},
                    "company": {f"{number:04x}": data.hex() for number, data in sent[1].items()},
                }
                model.stdin.write(json.dumps(told) + "\n")
                model.stdin.flush()

            yield send
            model.kill()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    path.chmod(0o640)
    return path


def sender(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


def plain(wet: bool = False) -> tuple:
    return bthome(sender(PLAIN), None, Status(wet, 97, 21.5, 9))


def keyed() -> tuple:
    return bthome(sender(KEYED), bytes.fromhex(KEY), Status(True, 97, 21.5, 9))


def street(air: Air) -> None:
    air(PLAIN, plain(), "leak")
    air(KEYED, keyed())
    air(KNOWN, switchbot(sender(KNOWN), Status(True, 50, 20.0, 1)))
    air(PHONE, ({}, {0x004C: b"\x10\x05"}))


def test_a_scan_shows_what_is_around_in_words(air: Air, config: Path, capsys: pytest.CaptureFixture[str]):
    street(air)

    assert main(["ble", "scan", "--seconds", "3", "--config", str(config)]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "dry" in lines[PLAIN]
    assert "97 %" in lines[PLAIN]
    assert "encrypted, needs a key" in lines[KEYED]
    assert "WET" in lines[KNOWN]
    assert "configured as cellar" in lines[KNOWN]
    assert PHONE not in lines
    assert out.splitlines()[-1] == "3 known, 1 other sender (--all shows them)"


def test_a_scan_is_there_as_json_and_with_strangers(
    air: Air, config: Path, capsys: pytest.CaptureFixture[str]
):
    street(air)

    assert main(["ble", "scan", "--seconds", "3", "--config", str(config), "--json", "--all"]) == 0
    told = json.loads(capsys.readouterr().out)
    by_address = {seen["address"]: seen for seen in told["sensors"]}
    assert by_address[PLAIN] == {
        "address": PLAIN,
        "name": "leak",
        "rssi_dbm": -60,
        "kind": "bthome",
        "wet": False,
        "battery_percent": 97,
        "encrypted": False,
        "problem": "",
        "sensor": None,
        "service_data": {f"{uuid:04x}": data.hex() for uuid, data in plain()[0].items()},
        "manufacturer_data": {},
    }
    assert by_address[PHONE]["manufacturer_data"] == {"004c": "1005"}
    assert by_address[KEYED]["encrypted"]
    assert by_address[PHONE]["kind"] is None
    assert told["others"] == 1


def learn(config: Path, *words: str) -> int:
    return main(["ble", "learn", "--config", str(config), "--seconds", "10", "--no-restart", *words])


def test_a_sensor_is_adopted_by_its_address_and_comments_stay(air: Air, config: Path):
    street(air)
    options = ("--id", "sump", "--name", "Sump", "--zone", "plant-room", "--no-walk-test")

    assert learn(config, PLAIN, *options) == 0

    site = read(config).site
    assert site.sensors["sump"].name == "Sump"
    assert site.zones["plant-room"].sensors == ("cellar", "sump")
    text = config.read_text()
    for comment in ("# the house at the canal", "# behind the boiler", "# more to come"):
        assert comment in text
    assert config.with_name("gateway.toml.bak").read_text() == CONFIG
    assert stat.S_IMODE(config.stat().st_mode) == 0o640
    assert not list(config.parent.glob(".gateway.toml.*"))


def test_a_sensor_without_an_address_is_the_one_that_is_made_wet(air: Air, config: Path):
    street(air)
    air(PLAIN, plain(wet=True))

    assert learn(config, "--id", "sump", "--zone", "plant-room", "--no-walk-test") == 0
    assert read(config).sensors["sump"].config.address == PLAIN


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        ([KEYED, "--key", "00" * 16], 65, "this is not its key"),
        ([KEYED, "--key", "12"], 65, "32 hexadecimal digits"),
        ([KEYED], 78, "--key: missing"),
        ([PLAIN, "--key", KEY], 78, "sends in the open"),
        ([PLAIN, "--id", "Sump!"], 78, "an id is"),
        ([PLAIN, "--id", "cellar"], 78, "already"),
        ([PLAIN, "--id", "sump", "--zone", "attic"], 78, "there is no zone attic; there is: plant-room"),
        ([PLAIN], 78, "--id: missing"),
        ([PLAIN, "--id", "sump", "--name", "a\x1b[2J"], 78, "--name: has letters that cannot be shown"),
        ([KNOWN], 78, "is configured already"),
        ([PHONE], 69, "sends nothing that is known"),
        (["54:48"], 78, "allowed: six bytes"),
    ],
)
def test_a_refusal_is_one_line_and_changes_nothing(  # noqa: PLR0917
    air: Air,
    config: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    status: int,
    complaint: str,
):
    street(air)

    assert learn(config, "--seconds", "3", *words) == status
    err = capsys.readouterr().err
    assert complaint in err
    assert err.count("\n") == 1
    assert config.read_text() == CONFIG
    assert not config.with_name("gateway.toml.bak").exists()


def test_a_restart_that_fails_is_one_line_though_systemctl_says_two(
    air: Air,
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    street(air)
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text("#!/bin/sh\necho 'no systemd here' >&2\necho 'Host is down' >&2\nexit 1\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    options = ("--id", "sump", "--zone", "plant-room", "--restart", "--no-walk-test")

    assert main(["ble", "learn", PLAIN, "--config", str(config), "--seconds", "10", *options]) == 69
    told = capsys.readouterr().err
    assert told == "reed-gateway: systemctl restart reed-gateway: no systemd here Host is down\n"


def test_a_key_is_proven_on_a_frame_that_was_just_heard(air: Air, config: Path):
    street(air)
    options = ("--key", KEY, "--id", "sump", "--zone", "plant-room", "--no-walk-test")

    assert learn(config, KEYED, *options) == 0
    assert read(config).site.sensors["sump"].keyed


def test_a_key_may_be_kept_as_a_secret_and_the_configuration_only_speaks_of_it(
    air: Air, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "state").mkdir()
    (tmp_path / "run").mkdir()
    folders = 'id = "hq-01"\nstate_dir = "state"\nruntime_dir = "run"'
    text = CONFIG.replace('id = "hq-01"', folders) + "[identity]\nallow_software_key = true\n"
    config.write_text(text.replace("[identity]", '[identity]\nkey = "software"'))
    street(air)
    options = ("--key", KEY, "--secret", "--id", "sump", "--zone", "plant-room", "--no-walk-test")

    assert learn(config, KEYED, *options) == 0

    assert KEY not in config.read_text()
    assert read(config).sensors["sump"].config.key == "secret:sump"
    assert "secret sump is NOT sealed: this gateway has no TPM" in capsys.readouterr().out
    opened = tmp_path / "run" / "secrets" / "sump"
    assert opened.read_text() == KEY

    assert _scanned(config, capsys) == (True, "")
    opened.unlink()
    closed = "encrypted, its key is the secret sump, which is not open; run: reed-gateway secret open"
    assert _scanned(config, capsys) == (None, closed)


def _scanned(config: Path, capsys: pytest.CaptureFixture[str]) -> tuple[bool | None, str]:
    """What a scan says of the keyed sensor: wet, and what is wrong."""
    capsys.readouterr()
    assert main(["ble", "scan", "--seconds", "2", "--config", str(config), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["sensors"]
    return next((seen["wet"], seen["problem"]) for seen in told if seen["address"] == KEYED)


def test_a_result_that_would_be_wrong_never_takes_the_place_of_the_old(air: Air, config: Path):
    street(air)
    # an array of tables is legal TOML, but no sensor can be added to it
    broken = CONFIG.replace('sensors = ["cellar"]', 'sensors = ["cellar"]\nquorum = 2\nsensors_ = 1')
    config.write_text(broken)

    assert learn(config, PLAIN, "--id", "sump", "--zone", "plant-room", "--no-walk-test") == 78
    assert config.read_text() == broken


NEW = {"kind": "bthome", "address": PLAIN}


def test_the_sensor_comes_after_all_that_was_there_and_no_comment_is_torn_off(config: Path):
    text = CONFIG + "\n# --- the end ---"
    config.write_text(text)

    adopt(config, "sump", NEW, "plant-room")

    told = text.replace('["cellar"]', '["cellar", "sump"]')
    assert config.read_text() == told + f'\n\n[sensor.sump]\nkind = "bthome"\naddress = "{PLAIN}"\n'


def test_line_ends_stay_as_they_are(config: Path):
    config.write_bytes(CONFIG.replace("\n", "\r\n").encode())

    adopt(config, "sump", NEW, "plant-room")

    assert b"\n" not in config.read_bytes().replace(b"\r\n", b"")


def test_a_configuration_that_is_a_link_stays_one(config: Path, tmp_path: Path):
    link = tmp_path / "elsewhere" / "gateway.toml"
    link.parent.mkdir()
    link.symlink_to(config)

    assert adopt(link, "sump", NEW, "plant-room") == config.with_name("gateway.toml.bak")
    assert link.is_symlink()
    assert "sump" in read(config).sensors


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[sensor.cellar] ", "[sensor.sump]", "sensor.sump: there is one already"),
        ("[zone.plant-room]", "[zone.attic]", "zone.plant-room: there is no such zone"),
        ('sensors = ["cellar"]', 'sensors = "cellar"', "zone.plant-room: cannot be changed here"),
        ("[board]", "[board", "zone.plant-room: cannot be changed here"),
        ("[gateway]", "[[gateway]]", "gateway: "),
    ],
)
def test_what_somebody_wrote_meanwhile_is_never_overwritten(config: Path, old: str, new: str, complaint: str):
    config.write_text(CONFIG.replace(old, new))
    before = config.read_bytes()

    with pytest.raises(ConfigError, match=re.escape(complaint)):
        adopt(config, "sump", NEW, "plant-room")
    assert config.read_bytes() == before
    assert [path.name for path in config.parent.iterdir()] == [config.name]


def test_a_change_while_the_new_text_is_checked_is_never_overwritten(
    config: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(config_file, "read", lambda _path: config.write_text("# by an editor"))

    with pytest.raises(StoreError, match="was changed by somebody else"):
        adopt(config, "sump", NEW, "plant-room")
    assert config.read_text() == "# by an editor"


def test_an_interruption_leaves_the_file_and_nothing_beside_it(config: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(_path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(config_file, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        adopt(config, "sump", NEW, "plant-room")

    assert config.read_text() == CONFIG
    assert [path.name for path in config.parent.iterdir()] == [config.name]


def test_a_folder_that_cannot_be_written_is_told_before_anybody_listens(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere

    assert learn(config, PLAIN) == 74
    captured = capsys.readouterr()
    assert "use sudo" in captured.err
    assert captured.out == ""


IDLE = bytes.fromhex("1058 7563 01") + sender(KEYED)[::-1]
"""An SJWS02LM that says only that it is there, as encrypted ones do too (MiBeacon, no objects)."""


def test_a_sensor_that_only_said_that_it_is_there_is_not_adopted_on_that(
    air: Air, config: Path, capsys: pytest.CaptureFixture[str]
):
    air(KEYED, ({0xFE95: IDLE}, {}))
    options = ("--seconds", "1", "--id", "sump", "--zone", "plant-room", "--no-walk-test")

    assert learn(config, KEYED, *options) == 69
    assert "said nothing of itself" in capsys.readouterr().err
    assert config.read_text() == CONFIG


def test_a_sensor_whose_frames_cannot_be_understood_is_not_adopted(
    air: Air, config: Path, capsys: pytest.CaptureFixture[str]
):
    air(PLAIN, ({0xFCD2: b"\x40"}, {}))
    options = ("--seconds", "1", "--id", "sump", "--zone", "plant-room", "--no-walk-test")

    assert learn(config, PLAIN, *options) == 65
    assert capsys.readouterr().err == f"reed-gateway: {PLAIN}: BTHome: no objects after the header\n"
    assert config.read_text() == CONFIG


def test_a_name_from_the_air_does_nothing_to_the_terminal(
    air: Air, config: Path, capsys: pytest.CaptureFixture[str]
):
    air(PLAIN, plain(), "a\x1b[2Jb\nc\u202ed")

    assert main(["ble", "scan", "--seconds", "3", "--config", str(config)]) == 0
    assert "a?[2Jb?c?d" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("state", "meaning"),
    [
        ("none", "bluetoothd is not running; systemctl start bluetooth"),
        ("hangs", "bluetoothd does not answer; systemctl restart bluetooth"),
        ("no adapter", "there is no adapter; is it plugged in? bluetoothctl list"),
        ("off", "the adapter is switched off; rfkill list, bluetoothctl power on"),
    ],
)
async def test_what_is_wrong_with_bluetooth_is_said_without_dbus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, meaning: str
):
    monkeypatch.setattr(ears, "_ANSWER_WAIT_S", 0.5)
    with dbus.private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        adapters = [] if state == "no adapter" else [Adapter("hci0", PHONE, powered=state != "off")]
        model = BlueZ(*adapters)
        model.hangs = state == "hangs"
        if state != "none":
            await model.start()
        with pytest.raises(DriverError) as raised:
            await ears.listen(None, 1.0, lambda _advert: None, None)
        if state != "none":
            model.kill()

    assert str(raised.value) == f"Bluetooth cannot be used: {meaning}"


async def test_a_bus_that_dies_while_somebody_listens_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ears, "_ANSWER_WAIT_S", 2.0)
    with contextlib.ExitStack() as living:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", living.enter_context(dbus.private_bus(tmp_path)))
        await BlueZ(Adapter("hci0", PHONE)).start()
        asyncio.get_running_loop().call_later(0.5, living.close)

        with pytest.raises(DriverError, match="Bluetooth cannot be used: "):
            await ears.listen(None, 1.0, lambda _advert: None, None)


def test_no_bluetooth_is_one_clear_line(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/none")

    assert main(["ble", "scan", "--seconds", "1", "--config", str(config), "--json"]) == 69
    err = capsys.readouterr().err
    assert err.startswith("reed-gateway: Bluetooth cannot be used: no system bus (No such file")
    assert err.count("\n") == 1


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "control") as running:
        yield running


@pytest.mark.parametrize(("walks", "status", "word"), [(True, 0, "passed"), (False, 1, "did NOT pass")])
def test_the_walk_test_follows_until_the_sensor_was_wet_and_dry(  # noqa: PLR0917
    air: Air,
    config: Path,
    gateway: Served,
    capsys: pytest.CaptureFixture[str],
    walks: bool,
    status: int,
    word: str,
):
    street(air)
    gateway.do(
        lambda: gateway.gateway.state["sensors"].update(sump=gateway.gateway.state["sensors"]["cellar"])
    )
    person = threading.Thread(target=_walk_when_asked, args=(gateway, walks))
    person.start()
    options = ("--id", "sump", "--zone", "plant-room", "--walk-test", "--walk-for", "3s")

    assert learn(config, PLAIN, *options, "--socket", str(gateway.config.socket)) == status
    person.join()
    assert word in capsys.readouterr().out.splitlines()[-1]


def _walk_when_asked(gateway: Served, walks: bool) -> None:
    while not gateway.gateway.events:
        gateway.do(lambda: None)
    if walks:
        gateway.do(lambda: gateway.gateway.walk("sump"))


def test_a_person_is_asked_for_everything_and_may_choose_from_a_list(air: Air, config: Path):
    street(air)
    terminal = Terminal(["ble", "learn", "--config", str(config), "--seconds", "30"])
    try:
        terminal.until(f"heard +{KEYED}")
        terminal.press("\n")
        terminal.until("which one")
        choices = terminal.shown
        number = next(
            line.split()[0] for line in choices.splitlines() if KEYED in line and line.split()[0].isdigit()
        )
        terminal.press(f"{number}\n")
        terminal.until("its key")
        terminal.press("00112233445566778899aabbccddeeff\n")
        terminal.until("this is not its key")
        terminal.press(f"{KEY}\n")
        terminal.until("its id")
        terminal.press("\n")
        terminal.until("which zone")
        terminal.press("1\n")
        terminal.until("its name")
        terminal.press("Sump\n")
        terminal.until("keep its key as a secret")
        terminal.press("n\n")
        terminal.until("restart the gateway now")
        terminal.press("n\n")
        terminal.until("walk-test bthome-0002 now")
        terminal.press("n\n")
        terminal.until_true(lambda: terminal.process.poll() is not None, "end")
    finally:
        terminal.close()

    assert terminal.process.returncode == 0
    assert read(config).site.sensors["bthome-0002"].name == "Sump"


def test_the_end_of_the_keyboard_is_an_interruption(air: Air, config: Path):
    street(air)
    terminal = Terminal(["ble", "learn", PLAIN, "--config", str(config)])
    try:
        terminal.until("its id")
        terminal.press("\x04")
        terminal.until_true(lambda: terminal.process.poll() is not None, "end")
    finally:
        terminal.close()

    assert terminal.process.returncode == 130
    assert "Traceback" not in terminal.shown
    assert config.read_text() == CONFIG
