"""What the units may do: little, and that is shown by trying."""

import json
from typing import TypeAlias

import pytest

from gateway.sim.hands import Leak
from tests.system.harness import boot
from tests.system.harness.boot import Booted
from tests.system.harness.machine import SOURCE
from tests.system.harness.package import Packages
from tests.system.harness.site import Site, until

Outcomes: TypeAlias = dict[str, dict[str, str]]

SCORES = {
    "reed-gateway": 1.5,
    "reed-secrets": 0.5,
    "reed-renew": 1.3,
    "reed-enrol": 2.3,
    "reed-update": 1.5,
    "reed-health": 1.5,
    "reed-cloud": 1.1,
}
"""What `systemd-analyze security` may say at most; peers have 8.9 to 9.6 (docs/performance.md)."""

PRIVILEGED = {"reed-apply@any": 2.0, "reed-apply-repair": 2.0}
"""Those install packages; whatever else root could do is taken from them."""

NOBODY = {
    "write /etc": "EROFS",
    "write /usr": "EROFS",
    "write /var/lib": "EROFS",
    "user namespace": "EPERM",
    "trace a process": "EPERM",
    "packet socket": "EAFNOSUPPORT",
    "netlink socket": "EAFNOSUPPORT",
    "writable code": "EACCES",
    "become code": "EACCES",
    "kernel log": "EPERM",
    "kernel module": "EPERM",
    "set the clock": "EPERM",
    "host name": "EPERM",
    "priority": "EPERM",
    "set-user-ID": "EPERM",
    "become root": "EPERM",
}
_UPDATER = {
    "write /etc/reed": "EROFS",
    "read /home": "EACCES",
    "other device": "EPERM",
    "serial port": "EACCES",
    "raw socket": "EPERM",
    "listen": "EPERM",
    "other processes": "ENOENT",
}
DENIED: dict[str, dict[str, str]] = {
    "reed-gateway": {
        "write /etc/reed": "EROFS",
        "write cloud": "EACCES",
        "read /home": "EACCES",
        "other device": "EPERM",
        "raw socket": "EPERM",
        "other processes": "ENOENT",
    },
    "reed-secrets": {
        "write /etc/reed": "EROFS",
        "read /home": "EACCES",
        "other device": "EPERM",
        "serial port": "EACCES",
        "internet socket": "EAFNOSUPPORT",
        "other processes": "ENOENT",
    },
    "reed-renew": {
        "write /etc/reed": "EROFS",
        "read /home": "EACCES",
        "other device": "EPERM",
        "serial port": "EACCES",
        "raw socket": "EPERM",
        "listen": "EPERM",
        "other processes": "ENOENT",
    },
    "reed-update": _UPDATER,
    "reed-health": _UPDATER,
    "reed-enrol": {
        "write cloud": "EROFS",
        "read /home": "ENOENT",
        "other device": "EPERM",
        "serial port": "EPERM",
        "raw socket": "EPERM",
        "listen": "EPERM",
    },
    "reed-cloud": {
        "write /etc/reed": "EACCES",
        "write state": "EACCES",
        "read /home": "EACCES",
        "other device": "ENOENT",
        "serial port": "ENOENT",
        "raw socket": "EPERM",
        "other processes": "ENOENT",
    },
}
NEEDED = {
    "reed-gateway": {
        "write state": "done",
        "write runtime": "done",
        "internet socket": "done",
        "serial port": "ENXIO",
    },
    "reed-secrets": {"write state": "done", "write runtime": "done"},
    "reed-renew": {"write state": "done", "internet socket": "done"},
    "reed-update": {"write state": "done", "write runtime": "done", "internet socket": "done"},
    "reed-health": {"write state": "done", "write runtime": "done", "internet socket": "done"},
    "reed-enrol": {"write state": "done", "write /etc/reed": "done", "internet socket": "done"},
    "reed-cloud": {"write cloud": "done", "internet socket": "done", "listen": "done"},
}
"""ENXIO: its driver was reached; there is no hardware behind the port."""

PROBE = f"/usr/bin/python3 {SOURCE}/tests/system/harness/probe.py"
_REPLACED = (
    "Exec",
    "Type=",
    "Restart",
    "SuccessExit",
    "Watchdog",
    "Condition",
    "Wants=",
    "After=",
    "Standard",
)

pytestmark = pytest.mark.skipif(bool(boot.why_not()), reason=boot.why_not() or "-")


@pytest.fixture(scope="module")
def machine(booted: Booted, packages: Packages) -> Booted:
    booted.install(packages.gateway, packages.cloud)
    booted.write("/home/somebody/letter", "dear")
    booted.run("install", "-d", "-o", "reed-gateway", "-g", "reed", "/run/reed")
    booted.run("mknod", "--mode=666", "/dev/other", "c", "10", "200")
    booted.run("mknod", "--mode=660", "/dev/ttyS9", "c", "4", "73")
    booted.run("chgrp", "dialout", "/dev/ttyS9")
    return booted


@pytest.fixture(scope="module")
def outcomes(machine: Booted) -> Outcomes:
    return {unit: probed(machine, unit) for unit in SCORES}


def probed(machine: Booted, unit: str) -> dict[str, str]:
    """Run the probe in a copy of a unit that differs in what it starts only."""
    lines = machine.ask("cat", f"/usr/lib/systemd/system/{unit}.service").splitlines()
    kept = [line for line in lines if not line.startswith(_REPLACED)]
    begin = kept.index("[Service]") + 1
    kept[begin:begin] = ["Type=oneshot", f"ExecStart={PROBE}", f"StandardOutput=truncate:/tmp/{unit}.json"]
    machine.write(f"/run/systemd/system/probe-{unit}.service", "\n".join(kept))
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", f"probe-{unit}")
    told: dict[str, str] = json.loads(machine.ask("cat", f"/tmp/{unit}.json"))
    return told


@pytest.mark.parametrize(("unit", "most"), (SCORES | PRIVILEGED).items())
def test_its_exposure_is_small(machine: Booted, unit: str, most: float):
    told = machine.ask("systemd-analyze", "security", "--no-pager", f"{unit}.service").splitlines()[-1]
    assert float(told.split(": ")[1].split()[0]) <= most, told


def test_root_without_a_sandbox_could_do_it(machine: Booted):
    told = json.loads(machine.ask(*PROBE.split()))
    refused = {attempt: outcome for attempt, outcome in told.items() if outcome != "done"}
    assert refused.keys() <= {"serial port", "kernel module"}  # no such hardware; a kernel without modules


@pytest.mark.parametrize("unit", SCORES)
def test_what_it_has_no_need_of_is_denied(outcomes: Outcomes, unit: str):
    wanted = {**NOBODY, **DENIED[unit]}
    assert {attempt: outcomes[unit][attempt] for attempt in wanted} == wanted


@pytest.mark.parametrize("unit", SCORES)
def test_what_it_needs_works(outcomes: Outcomes, unit: str):
    assert {attempt: outcomes[unit][attempt] for attempt in NEEDED[unit]} == NEEDED[unit]


def test_the_gateway_protects_in_there_and_its_failsafe_stops_what_moves(machine: Booted, packages: Packages):
    machine.run("rm", "-rf", "/run/reed")
    site = Site(machine)
    site.build()
    site.configure()
    machine.run("systemctl", "start", "reed-gateway")
    with site.watched() as onlooker:
        site.poke(Leak(pipe="main"))
        until(lambda: site.levels()["main-close"], "the valve to move")
        machine.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "reed-gateway")
        until(lambda: "main-close off" in onlooker.moved, "the failsafe")
        until(
            lambda: site.state == "active" and site.view()["valves"]["main"]["state"] == "closed", "the valve"
        )
    assert "valve main: close was on; released: open, close" in machine.journal("reed-gateway")
    assert onlooker.moved == ["main-close on", "main-close off", "main-close on", "main-close off"]
