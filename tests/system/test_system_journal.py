"""What the journal of a real machine shows of the installed gateway, and what it does when it hangs."""

import json

import pytest

from gateway.app import message_ids
from gateway.sim.hands import Leak, Soak
from tests.system.harness import boot
from tests.system.harness.boot import Booted
from tests.system.harness.package import Packages
from tests.system.harness.site import Site, until

pytestmark = pytest.mark.skipif(bool(boot.why_not()), reason=boot.why_not() or "-")

FILL = """
import contextlib, socket

def some():
    sent = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, contextlib.suppress(BlockingIOError):
        one.setblocking(False)
        while True:
            one.sendto(b"MESSAGE=crowd\\n", "/run/systemd/journal/socket")
            sent += 1
    return sent

while some():  # each sender may have so much under way; in the end nobody may send any more
    pass
print("full")
"""


@pytest.fixture(scope="module")
def site(booted: Booted, packages: Packages) -> Site:
    booted.install(packages.gateway)
    site = Site(booted)
    site.build()
    site.configure()
    booted.run("systemctl", "start", "reed-gateway")
    return site


def closed(site: Site, valve: str) -> bool:
    return bool(site.view()["valves"][valve]["state"] == "closed")


def entries(site: Site, *matches: str) -> list[dict[str, str]]:
    """Return what the journal holds of the gateway, with all fields."""
    site.machine.run("journalctl", "--sync")
    said = site.machine.ask("journalctl", "-u", "reed-gateway", "-o", "json", *matches)
    return [json.loads(line) for line in said.splitlines()]


def said_about_loss(site: Site) -> list[dict[str, str]]:
    """Have the gateway say something, and return all that the journal holds of it."""
    site.gateway("valve", "close", "kitchen")
    return entries(site)


def test_a_leak_is_in_the_journal_with_its_fields(site: Site):
    site.poke(Leak(pipe="main"))
    until(lambda: closed(site, "main"), "the valve")

    [entry] = entries(site, "REED_ALARM=leak/zone/plant-room", f"MESSAGE_ID={message_ids.ALARMS['leak']}")
    assert entry["MESSAGE"] == "alarm leak/zone/plant-room: wet: floor"
    assert (entry["PRIORITY"], entry["REED_ZONE"], entry["REED_CLASS"]) == ("2", "plant-room", "alarm")
    assert entry["_SYSTEMD_UNIT"] == "reed-gateway.service"
    moves = [each["REED_STATE"] for each in entries(site, "REED_VALVE=main")]
    assert moves[-2:] == ["closing", "closed"]


def test_journalctl_explains_it(site: Site):
    explained = site.machine.ask("journalctl", "-x", "-u", "reed-gateway", "REED_ALARM=leak/zone/plant-room")

    assert "░░ Subject: Leak in zone/plant-room\n░░ Defined-By: reed-gateway\n" in explained
    assert '"reed-gateway alarms reset leak/zone/plant-room' in " ".join(explained.replace("░░", "").split())


def test_the_journal_has_no_line_without_a_place_in_the_program(site: Site):
    """Everything goes the native way; what came over stderr would have no CODE_FILE."""
    assert all("CODE_FILE" in entry for entry in entries(site, "_TRANSPORT=journal"))
    stderr = [
        entry["MESSAGE"] for entry in entries(site, "_TRANSPORT=stdout") if entry["_COMM"] == "reed-gateway"
    ]
    assert stderr == []


def test_a_journal_that_hangs_delays_no_valve(site: Site):
    machine = site.machine
    machine.run("systemctl", "kill", "--signal=SIGSTOP", "systemd-journald")
    try:
        assert machine.ask("python3", "-c", FILL) == "full"
        site.poke(Soak(sensor="kitchen-dishwasher"))
        until(lambda: closed(site, "kitchen"), "the valve")
        assert site.view()["state"] == "alarm"
    finally:
        machine.run("systemctl", "kill", "--signal=SIGCONT", "systemd-journald")
    until(lambda: any("REED_LINES_LOST" in entry for entry in said_about_loss(site)), "the count")


def test_anybody_may_read_the_figures_and_a_bundle_has_the_journal(site: Site):
    figures = site.machine.run("sudo", "-u", "nobody", "reed-gateway", "metrics").stdout
    assert 'reed_alarms{class="alarm",state="unacknowledged"} 2' in figures

    site.gateway("diag", "--yes", "--output", "/root/bundle.tar.gz")
    said = site.machine.ask("tar", "-xzOf", "/root/bundle.tar.gz", "--wildcards", "*/journal.txt")
    assert "alarm leak/zone/plant-room: wet: floor" in said
    versions = site.machine.ask("tar", "-xzOf", "/root/bundle.tar.gz", "--wildcards", "*/versions.json")
    assert json.loads(versions)["debian_packages"]["reed-gateway"] == "0.1.0"
