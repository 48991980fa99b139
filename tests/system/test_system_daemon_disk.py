"""Disk and clock of the installed daemon fail, one after the other; the valve closes all the same."""

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from gateway.app.failsafe import is_alive
from gateway.control.client import Client
from gateway.sim.hands import Dry, Leak, Soak
from tests.system.harness import boot
from tests.system.harness.boot import Booted
from tests.system.harness.disk import Disk
from tests.system.harness.outside import LINK, Outside
from tests.system.harness.package import Packages
from tests.system.harness.site import CONFIG, Site, until

MIB = 1024 * 1024
SOCKET = "/run/reed/org.reed.Gateway"
UNIT = "reed-gateway"
DROP_IN = f"/run/systemd/system/{UNIT}.service.d/clock.conf"
WALL_CLOCK = "/run/wall-clock"
pytestmark = pytest.mark.usefixtures("idle")  # what it measures takes minutes: it begins with the first story
SETTINGS = CONFIG.replace("= 5.0", "= 0.1") + LINK


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with Outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture(scope="module")
def site(packages: Packages, outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if reason := boot.why_not():
        pytest.skip(reason)
    with Booted(tmp_path_factory.mktemp("machine")) as machine:
        machine.install(packages.gateway)
        outside.introduce(machine)
        site = Site(machine)
        site.configure(SETTINGS)
        site.build()
        machine.power_off()
        yield site


@pytest.fixture(scope="module")
def disk(site: Site, outside: Outside) -> Disk:
    """The gateway's own, and the machine has booted with it."""
    made = Disk(site.machine, "/var/lib/reed", 4 * MIB)
    site.machine.boot()
    outside.plug(site.machine)
    return made


@pytest.fixture
def running(site: Site, disk: Disk) -> Site:  # without its disk the machine is off
    until(lambda: _state(site) == "active", "the gateway")
    until(lambda: _view(site)["link"]["state"] == "up", "the cloud")
    return site


# --- disk -------------------------------------------------------------------------------------------


def test_on_a_full_disk_the_valve_closes_and_the_alarm_leaves(
    running: Site, disk: Disk, outside: Outside
) -> None:
    disk.fill()
    running.poke(Leak("main"))
    until(lambda: _valve(running, "main") == "closed", "the valve to close with a full disk")
    until(lambda: "adapter/disk" in _standing(running), "the trouble", within_s=60.0)
    until(lambda: "leak/zone/plant-room" in _told(outside), "the alarm at the cloud")
    assert "adapter/disk" in _told(outside)
    assert running.state == "active"

    disk.free()
    until(lambda: "adapter/disk" not in _standing(running), "the end of the trouble", within_s=90.0)
    until(lambda: outside.has_all(_view(running)["store"]), "everything at the cloud")
    assert outside.holes() == []
    _end(running, "plant-room")


def test_a_gateway_that_starts_on_a_full_disk_protects(running: Site, disk: Disk) -> None:
    disk.fill()
    running.machine.run("systemctl", "restart", UNIT)
    running.poke(Soak("kitchen-dishwasher", 1.0))
    until(lambda: _valve(running, "kitchen") == "closed", "the valve to close with a full disk")
    disk.free()
    until(lambda: "adapter/disk" not in _standing(running), "the end of the trouble", within_s=90.0)
    _end(running, "kitchen")


def test_with_root_and_state_read_only_it_starts_and_protects(
    running: Site, disk: Disk, outside: Outside
) -> None:
    machine = running.machine
    machine.power_off()
    outside.unplug()
    disk.remount("ro")
    try:
        machine.boot()
        outside.plug(machine)
        with pytest.raises(AssertionError, match="Read-only file system"):
            machine.run("touch", "/usr/new")
        running.poke(Leak("main"))
        until(lambda: _valve(running, "main") == "closed", "the valve to close with nothing to write to")
        until(lambda: "adapter/disk" in _standing(running), "the trouble")
        until(lambda: "leak/zone/plant-room" in _told(outside), "the alarm at the cloud")
    finally:
        machine.cut_power()
        outside.unplug()
        disk.remount("rw")
    machine.boot()
    outside.plug(machine)
    until(lambda: "adapter/disk" not in _standing(running), "the end of the trouble")


def test_a_disk_that_dies_while_it_works_is_a_trouble_and_no_more(
    running: Site, disk: Disk, outside: Outside
) -> None:
    disk.cut_power()
    running.poke(Leak("main"))
    until(lambda: _valve(running, "main") == "closed", "the valve to close with a dead disk")
    until(lambda: "adapter/disk" in _standing(running), "the trouble")
    running.machine.run("systemctl", "restart", UNIT)
    assert running.state == "active", "a start needs no disk"
    until(lambda: "leak/zone/plant-room" in _standing(running), "the leak that a sensor still sees")

    running.machine.cut_power()
    outside.unplug()
    disk.unmount()
    disk.mount()
    running.machine.boot()
    outside.plug(running.machine)
    until(lambda: "adapter/disk" not in _standing(running), "a disk that is back to be used")


# --- clock ------------------------------------------------------------------------------------------


def test_a_clock_at_1970_closes_the_valve_and_is_not_believed(running: Site, outside: Outside) -> None:
    """Debian's libfaketime gives the daemon another wall clock; its monotonic one stays the kernel's."""
    _wear_a_clock(running, "@1970-01-01 00:00:10")
    assert _view(running)["clock"] == {"trusted": False}
    running.poke(Leak("main"))
    until(lambda: _valve(running, "main") == "closed", "the valve to close in 1970")
    until(lambda: outside.has_all(_view(running)["store"]), "the messages of 1970 at the cloud")
    last = [message for message in outside.held("alarm") if "plant-room" in message["body"]["alarm_id"]][-1]
    assert last["unix_s"] < 1e6
    assert last["time_trusted"] is False
    _end(running, "plant-room")


def test_a_clock_that_jumps_back_and_forth_moves_no_valve_and_delays_none(
    running: Site, outside: Outside
) -> None:
    _wear_a_clock(running, "+0")
    assert _view(running)["clock"] == {"trusted": True}
    pid = running.pid
    with running.watched() as onlooker:
        for offset in ("+3650d", "-3650d", "+90d", "-1d", "+0"):
            _set_clock(running, offset)
            time.sleep(0.5)
        moved = [each for each in onlooker.moved if not each.startswith(("status-led", "sounder"))]
    assert moved == []
    _set_clock(running, "-3650d")
    assert _view(running)["clock"] == {"trusted": False}
    running.poke(Soak("kitchen-dishwasher", 1.0))
    until(lambda: _valve(running, "kitchen") == "closed", "the valve to close ten years ago")
    _set_clock(running, "+0")
    until(lambda: _view(running)["clock"] == {"trusted": True}, "a clock that is right again to be believed")
    until(lambda: outside.has_all(_view(running)["store"]), "all messages at the cloud")
    assert running.pid == pid, "no jump ended the daemon"


def _set_clock(site: Site, now: str) -> None:
    """Change the clock in one step: libfaketime ends a process that reads half a file."""
    site.machine.write(f"{WALL_CLOCK}.new", now)
    site.machine.run("mv", f"{WALL_CLOCK}.new", WALL_CLOCK)


def _wear_a_clock(site: Site, now: str) -> None:
    """Start the daemon with a wall clock that says what a file says."""
    found = site.machine.ask("sh", "-c", "ls /usr/lib/*/faketime/libfaketimeMT.so.1 2>/dev/null || :")
    if not found:
        pytest.skip("libfaketime is not in the tree")
    settings = (
        f"LD_PRELOAD={found} FAKETIME_TIMESTAMP_FILE={WALL_CLOCK} FAKETIME_NO_CACHE=1 DONT_FAKE_MONOTONIC=1"
    )
    _set_clock(site, now)
    site.machine.write(DROP_IN, f"[Service]\nEnvironment={settings}\n")
    site.machine.run("systemctl", "daemon-reload")
    site.machine.run("systemctl", "restart", UNIT)


# --- how it looks -----------------------------------------------------------------------------------


def _state(site: Site) -> str:
    with suppress(AssertionError):
        return site.state
    return ""


def _view(site: Site) -> dict[str, Any]:
    """Return what the daemon shows, once it listens: that begins a moment after READY."""
    until(lambda: is_alive(str(site.machine.path(SOCKET))), "the control socket")
    with Client(site.machine.path(SOCKET)) as client:
        view: dict[str, Any] = client.call("GetView")["view"]
    return view


def _standing(site: Site) -> set[str]:
    """Return what stands: alarms that are latched, and troubles as long as they last."""
    return {alarm["id"] for alarm in _view(site)["alarms"] if alarm["active"] or alarm["latched"]}


def _valve(site: Site, valve_id: str) -> str:
    return str(_view(site)["valves"][valve_id]["state"])


def _told(outside: Outside) -> set[str]:
    return {message["body"]["alarm_id"] for message in outside.held("alarm")}


def _end(site: Site, zone: str) -> None:
    """Dry the place, reset its alarm and open the valves again."""
    site.poke(Dry("main"))
    cause = ("--cause", "the story is over")
    until(lambda: site.gateway("alarms", "reset", f"leak/zone/{zone}", *cause, check=False), "the reset")
    for valve in ("main", "kitchen"):
        site.gateway("valve", "open", valve, check=False)
