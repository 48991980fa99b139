"""The life of the installed daemon under its own unit: what systemd does to it, and what the valves do."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.app.failsafe import is_alive
from gateway.control.client import Client
from gateway.sim.client import Visitor
from gateway.sim.hands import Dry, Leak, Soak
from tests.system.harness.boot import Booted
from tests.system.harness.note import note
from tests.system.harness.outside import LINK, Outside
from tests.system.harness.package import Packages
from tests.system.harness.site import CONFIG, Site, until
from tests.system.harness.site import SOCKET as BUILDING

KILLS = 20
SOCKET = "/run/reed/org.reed.Gateway"
UNIT = "reed-gateway"
SETTINGS = (
    CONFIG.replace('on_daemon_loss = "hold"', 'on_daemon_loss = "close"').replace("= 5.0", "= 0.1") + LINK
)
"""The kitchen's valve closes when the daemon is lost, the main one, which has a motor, stays as it is."""

_HOG = "import time; kept = [bytearray(1 << 20) for _ in range(1024)]; time.sleep(60)"


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    with Outside(tmp_path_factory.mktemp("outside")) as running:
        yield running


@pytest.fixture(scope="module")
def installed(booted: Booted, packages: Packages, outside: Outside) -> Site:
    booted.install(packages.gateway)
    outside.introduce(booted)
    outside.plug(booted)
    site = Site(booted)
    site.configure(SETTINGS)
    site.build()
    return site


@pytest.fixture
def site(installed: Site) -> Site:
    """A gateway that runs and has forgotten the last story; nobody is wet and all valves are open."""
    machine = installed.machine
    machine.run("systemctl", "stop", UNIT)
    machine.run("sh", "-c", "rm -rf /var/lib/reed/* /run/reed/*")
    installed.configure(SETTINGS)
    machine.run("systemctl", "restart", "reed-building")
    until(machine.path(BUILDING).exists, "the building")
    machine.run("systemctl", "reset-failed")
    machine.run("systemctl", "start", UNIT)
    return installed


# --- systemctl --------------------------------------------------------------------------------------


def test_start_and_stop_leave_every_valve_where_it_is(site: Site) -> None:
    site.machine.run("systemctl", "stop", UNIT)
    before = site.levels()
    with site.watched() as onlooker:
        site.machine.run("systemctl", "start", UNIT)
        assert site.state == "active"
        site.machine.run("systemctl", "restart", UNIT)
        time.sleep(1.0)
    moved = [
        each for each in onlooker.moved if not each.startswith(("status-led", "sounder", "kitchen-open"))
    ]
    assert moved == []
    assert site.levels()["main-close"] == before["main-close"]


def test_a_stop_does_what_the_policy_says(site: Site) -> None:
    assert site.levels()["kitchen-open"]
    site.machine.run("systemctl", "stop", UNIT)
    assert not site.levels()["kitchen-open"], 'on_daemon_loss = "close"'
    assert site.state == "inactive"


def test_status_says_how_the_building_is(site: Site) -> None:
    until(lambda: "normal; cloud up" in _status(site), "the cloud in the status")
    site.poke(Soak("kitchen-dishwasher", 30.0))
    until(lambda: "alarm" in _status(site), "the alarm in the status")


def test_a_reload_takes_what_it_can_and_says_what_needs_a_restart(site: Site) -> None:
    pid = site.pid
    site.configure(SETTINGS + "keepalive_s = 30\n")
    site.machine.run("systemctl", "reload", UNIT)
    until(lambda: "reload: applied: link" in site.machine.journal(UNIT), "what was applied")
    site.configure(SETTINGS.replace("max_run_s = 10.0", "max_run_s = 11.0"))
    site.machine.run("systemctl", "reload", UNIT)
    until(lambda: "needs a restart: site" in site.machine.journal(UNIT), "what needs a restart")
    assert (site.pid, site.state) == (pid, "active")


def test_a_bad_configuration_at_a_reload_keeps_the_old_one_running(site: Site) -> None:
    pid = site.pid
    site.configure(SETTINGS.replace('kind = "motorised"', 'kind = "steam"'))
    site.machine.run("systemctl", "reload", UNIT)
    refused = "configuration refused, the old one stays in force"
    until(lambda: refused in site.machine.journal(UNIT), "the refusal in the journal")
    assert "adapter/config" in _alarms(site)
    site.poke(Soak("kitchen-dishwasher", 1.0))
    until(lambda: not site.levels()["kitchen-open"], "the valve to close by the old configuration")
    site.configure(SETTINGS)
    site.machine.run("systemctl", "reload", UNIT)
    until(lambda: "adapter/config" not in _alarms(site), "the end of the trouble")
    assert (site.pid, site.state) == (pid, "active")


def test_a_bad_configuration_at_a_restart_is_said_once_and_mended_by_a_start(site: Site) -> None:
    site.configure(SETTINGS.replace('kind = "motorised"', 'kind = "steam"'))
    site.machine.run("systemctl", "restart", UNIT, check=False)
    assert site.state == "failed"
    assert site.machine.shows(UNIT, "ExecMainStatus") == "78"
    assert "valve.main.kind" in site.machine.journal(UNIT)
    assert not site.levels()["kitchen-open"], "the failsafe knows the valves in spite of the configuration"
    site.configure(SETTINGS)
    site.machine.run("systemctl", "start", UNIT)
    assert site.state == "active"


# --- crashes ----------------------------------------------------------------------------------------


def test_a_frozen_daemon_is_replaced_by_the_watchdog(site: Site) -> None:
    pid, frozen_s = site.pid, time.monotonic()
    before = site.levels()
    with site.watched() as onlooker:
        site.machine.run("kill", "-STOP", str(pid))
        site.poke(Leak("main"))
        time.sleep(2.0)
        assert site.levels() == before, "nobody drives the lines while it is frozen"
        until(lambda: site.pid not in (0, pid) and site.state == "active", "another daemon", within_s=60.0)
        note(f"SIGSTOP -> READY again by the watchdog (10 s): {time.monotonic() - frozen_s:.1f} s")
        until(lambda: _valve(site, "main") == "closed", "the main valve to close for the leak")
    assert "main-open on" not in onlooker.moved
    assert onlooker.moved[0] in ("kitchen-open off", "main-close on"), onlooker.moved
    assert "kitchen-open off" in onlooker.moved, 'on_daemon_loss = "close"'
    assert "watchdog" in site.machine.journal(UNIT).lower()
    site.poke(Dry("main"))


def test_twenty_kills_in_a_row_cost_neither_protection_nor_a_message(site: Site, outside: Outside) -> None:
    dice = random.Random(20)  # noqa: S311  # repeatable, not secret
    first_epoch = _view(site)["store"]["epoch"]
    gaps_s = []
    for kill in range(KILLS):
        site.poke(Soak("kitchen-dishwasher", 0.2))
        until(lambda: is_alive(str(site.machine.path(SOCKET))), "the control socket")
        with Client(site.machine.path(SOCKET)) as client:
            wish = "close" if kill % 2 else "open"
            next(client.stream("ActuateValve", timeout_s=10.0, valve="main", wish=wish, cause=f"kill {kill}"))
        time.sleep(dice.uniform(0.0, 0.5))
        latched = "leak/zone/kitchen" in _alarms(site)
        pid, killed_s = site.pid, time.monotonic()
        site.machine.run("kill", "-KILL", str(pid))
        until(lambda: site.pid not in (0, pid) and site.state == "active", "the next daemon", 60.0)  # noqa: B023
        gaps_s.append(time.monotonic() - killed_s)
        assert not (site.levels()["main-open"] and site.levels()["main-close"])
        if latched:
            assert "leak/zone/kitchen" in _alarms(site), f"kill {kill}: a leak was forgotten"
    note(f"{KILLS} x SIGKILL: READY again after {min(gaps_s):.1f} to {max(gaps_s):.1f} s")
    assert max(gaps_s) < 30.0, gaps_s  # it never gives up, nor waits for long
    site.poke(Leak("main"))
    until(lambda: _valve(site, "main") == "closed", "the main valve to close after all that")
    until(lambda: outside.has_all(_view(site)["store"]), "all messages at the cloud")
    assert outside.holes(first_epoch) == []
    site.poke(Dry("main"))


def test_a_daemon_that_gets_no_more_memory_still_closes_the_valve(site: Site) -> None:
    """RLIMIT_AS at what it has now: what it asks for is refused, anywhere; at worst the watchdog ends it."""
    pid = site.pid
    site.machine.run(
        "runuser",
        "-u",
        "reed-gateway",
        "--",
        "prlimit",
        "--pid",
        str(pid),
        f"--as={_virtual_bytes(site, pid)}",
    )
    site.machine.run(
        "sh", "-c", "for n in $(seq 20); do reed-gateway status >/dev/null 2>&1 & done; wait", check=False
    )
    site.poke(Leak("main"))
    until(lambda: _position(site, "main") == 0.0, "the valve to close without memory", 60.0)
    until(lambda: site.state == "active", "a gateway that runs")
    site.poke(Dry("main"))


def test_a_daemon_whose_unit_runs_out_of_memory_is_started_again(site: Site) -> None:
    """Another process in the unit's cgroup takes all; what the kernel ends there, systemd starts again."""
    controllers = site.machine.ask("cat", "/sys/fs/cgroup/cgroup.controllers").split()
    if "memory" not in controllers:
        pytest.skip("this kernel's memory controller belongs to another hierarchy than the machine's")
    pid = site.pid
    group = site.machine.shows(UNIT, "ControlGroup")
    site.machine.run(
        "sh", "-c", f"echo $$ >/sys/fs/cgroup{group}/cgroup.procs; exec python3 -c '{_HOG}'", check=False
    )
    until(lambda: site.pid not in (0, pid) and site.state == "active", "the next daemon", within_s=60.0)
    assert "oom" in site.machine.journal(UNIT).lower()
    site.poke(Leak("main"))
    until(lambda: _valve(site, "main") == "closed", "the main valve to close")
    site.poke(Dry("main"))


# --- how it looks -----------------------------------------------------------------------------------


def _status(site: Site) -> str:
    return site.machine.shows(UNIT, "StatusText")


def _view(site: Site) -> dict[str, Any]:
    """Return what the daemon shows, once it listens: that begins a moment after READY."""
    until(lambda: is_alive(str(site.machine.path(SOCKET))), "the control socket")
    with Client(site.machine.path(SOCKET)) as client:
        view: dict[str, Any] = client.call("GetView")["view"]
    return view


def _alarms(site: Site) -> set[str]:
    """Return what stands: alarms that are latched, and troubles as long as they last."""
    return {alarm["id"] for alarm in _view(site)["alarms"] if alarm["active"] or alarm["latched"]}


def _valve(site: Site, valve_id: str) -> str:
    return str(_view(site)["valves"][valve_id]["state"])


def _position(site: Site, valve_id: str) -> float:
    with Visitor(site.machine.path(BUILDING)) as visitor:
        seen: Any = visitor.look()["valves"]
    return float(seen[valve_id]["position"])


def _virtual_bytes(site: Site, pid: int) -> int:
    return 4096 * int(Path(site.machine.path(f"/proc/{pid}/statm")).read_text().split()[0])
