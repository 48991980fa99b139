"""`reed-gateway doctor` on buses and Bluetooth: a real dbus-daemon, a model of bluetoothd, real ptys."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.cli.checks import bluetooth, buses
from gateway.cli.checks.finding import Finding, Verdict
from gateway.config.model import Config
from gateway.config.read import read
from tests.fakes import dbus

SITE = """
[gateway]
id = "house-7"
[board]
kind = "linux"
[valve.main]
kind = "spring_return"
open_line = "GPIO17"
[zone.cellar]
sensors = ["floor"]
valves = ["main"]
"""
RADIO = """
[sensor.floor]
kind = "switchbot"
address = "C0:4E:30:00:00:03"
"""
WIRED = """
[sensor.floor]
kind = "contact"
line = "GPIO4"
"""


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Config]:
    """Return the configuration of a site with these tables, too."""

    def written(*tables: str) -> Config:
        path = tmp_path / "gateway.toml"
        path.write_text(SITE + "".join(tables))
        return read(path)

    return written


def told(findings: list[Finding]) -> list[tuple[Verdict, str]]:
    return [(finding.verdict, finding.text) for finding in findings]


# --- Bluetooth ------------------------------------------------------------------------------------------

needs_dbus = pytest.mark.skipif(dbus.PROGRAM is None, reason="no dbus-daemon here: apt install dbus")
Start = Callable[..., None]


@pytest.fixture
def bluetoothd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """A system bus; the call starts bluetoothd on it."""
    running: list[subprocess.Popen[str]] = []

    def start(*words: str) -> None:
        command = [sys.executable, "-m", "tests.fakes.bluez_process", *words]
        model = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(model)
        assert model.stdout is not None
        assert model.stdout.readline() == "ready\n"

    with dbus.private_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        yield start
        for model in running:
            with model:
                model.kill()


@needs_dbus
@pytest.mark.parametrize("name", ["hci0", "DC:A6:32:01:02:03"])
def test_an_adapter_that_is_on_is_found_by_name_and_by_address(
    site: Callable[..., Config], bluetoothd: Start, name: str
):
    bluetoothd()

    found = bluetooth.inspect(site(RADIO, f'[bluetooth]\nadapters = ["{name}"]\n'))

    assert told(found) == [(Verdict.OK, "hci0 (DC:A6:32:01:02:03) is on")]


@needs_dbus
def test_an_adapter_that_is_off_is_told_and_left_alone(site: Callable[..., Config], bluetoothd: Start):
    bluetoothd("--off")

    first, second = bluetooth.inspect(site(RADIO)), bluetooth.inspect(site(RADIO))

    assert told(first) == [(Verdict.WARN, "hci0 (DC:A6:32:01:02:03) is off")]
    assert first == second
    assert "rfkill" in first[0].advice


@needs_dbus
def test_a_missing_adapter_is_told_with_those_that_are_there(site: Callable[..., Config], bluetoothd: Start):
    bluetoothd()

    found = bluetooth.inspect(site(RADIO, '[bluetooth]\nadapters = ["hci1", "hci0"]\n'))

    assert told(found) == [
        (Verdict.FAIL, "there is no adapter hci1; there is: hci0 (DC:A6:32:01:02:03)"),
        (Verdict.OK, "hci0 (DC:A6:32:01:02:03) is on"),
    ]


@needs_dbus
@pytest.mark.usefixtures("bluetoothd")
def test_without_bluetoothd_the_advice_is_to_start_it(site: Callable[..., Config]):
    (found,) = bluetooth.inspect(site(RADIO))

    assert (found.verdict, found.text) == (Verdict.FAIL, "bluetoothd is not running")
    assert found.advice == "sudo systemctl start bluetooth"


def test_without_a_bus_the_advice_is_to_look_at_it(
    site: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")

    (found,) = bluetooth.inspect(site(RADIO))

    assert found.verdict is Verdict.FAIL
    assert found.text.startswith("no system bus (")
    assert found.advice == "systemctl status dbus"


def test_a_wired_site_needs_no_bluetooth(site: Callable[..., Config], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")

    assert bluetooth.inspect(site(WIRED)) == []


# --- buses ----------------------------------------------------------------------------------------------


@pytest.fixture
def port() -> Iterator[str]:
    """The device file of a real terminal."""
    ours, theirs = os.openpty()
    yield os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def test_a_port_that_is_there_is_well(site: Callable[..., Config], port: str):
    config = site(WIRED, f'[serial.bus]\ndevice = "{port}"\n')

    (found,) = buses.inspect(config)

    assert found.verdict is Verdict.OK
    assert found.text.startswith(f"{port} is there")


def test_a_port_that_is_not_there_is_told_with_those_that_are(site: Callable[..., Config], tmp_path: Path):
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    (by_id / "usb-FTDI_FT232R-if00-port0").symlink_to("/dev/ttyUSB7")
    config = site(WIRED, f'[serial.bus]\ndevice = "{tmp_path / "absent"}"\n')

    (found,) = buses.inspect(config, by_id)

    assert (found.verdict, found.text) == (
        Verdict.FAIL,
        f"serial.bus.device: {tmp_path / 'absent'}: No such file or directory",
    )
    assert str(by_id / "usb-FTDI_FT232R-if00-port0") in found.advice


def test_a_file_that_is_no_device_is_told(site: Callable[..., Config], tmp_path: Path):
    (tmp_path / "port").write_text("a backup")
    config = site(WIRED, f'[serial.bus]\ndevice = "{tmp_path / "port"}"\n')

    (found,) = buses.inspect(config, tmp_path / "none")

    assert (found.verdict, found.text) == (
        Verdict.FAIL,
        f"serial.bus.device: {tmp_path / 'port'} is no device file",
    )
    assert "no port is there" in found.advice


def test_a_port_whose_name_changes_is_a_warning(site: Callable[..., Config], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(buses, "_problem", lambda _device: "")  # no machine of ours has such a port
    config = site(WIRED, '[serial.bus]\ndevice = "/dev/ttyUSB0"\n')

    (found,) = buses.inspect(config)

    assert (found.verdict, found.advice) == (Verdict.WARN, "name it as it stands in /dev/serial/by-id")


@pytest.mark.parametrize(
    ("kind", "device", "advice"),
    [
        ("mcp3008", "/dev/spidev9.9", "dtparam=spi=on"),
        ("ads1115", "/dev/i2c-99", "dtparam=i2c_arm=on"),
    ],
)
def test_a_bus_that_is_switched_off_is_told_with_the_switch(
    site: Callable[..., Config], kind: str, device: str, advice: str
):
    config = site(WIRED, f'[adc.loops]\nkind = "{kind}"\ndevice = "{device}"\n')

    (found,) = buses.inspect(config)

    assert (found.verdict, found.text) == (
        Verdict.FAIL,
        f"adc.loops.device: {device}: No such file or directory",
    )
    assert advice in found.advice


def test_a_bus_that_is_there_is_well(site: Callable[..., Config]):
    config = site(WIRED, '[adc.loops]\nkind = "ads1115"\ndevice = "/dev/null"\n')

    assert told(buses.inspect(config)) == [(Verdict.OK, "the bus of adc.loops is there: /dev/null")]
