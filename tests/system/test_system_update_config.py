"""The configuration is updated by the applier: checked, exchanged in one step, taken in, kept or put back.

These tests go on from each other.
"""

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.system.harness import boot
from tests.system.harness.boot import Booted
from tests.system.harness.note import note
from tests.system.harness.package import Packages
from tests.system.harness.site import CONFIG, CONFIG_FILE, Site, until
from tests.system.harness.updated import Answer, Updated

CUTS = int(os.environ.get("REED_UPDATE_CUTS", "20"))
FIRST = CONFIG + "[update]\nhealth_timeout_s = 60.0\n"
NAMED = FIRST.replace("[zone.plant-room]\n", '[zone.plant-room]\nname = "Plant room"\n')
TALKATIVE = NAMED + "[control]\nidle_s = 200.0\n"
ATTIC = """\
[zone.attic]
sensors = ["attic"]
action = "notify"
[sensor.attic]
kind = "contact"
line = "nowhere"
"""
OFFERED = "/etc/reed/.gateway.toml.offered"

pytestmark = pytest.mark.skipif(bool(boot.why_not()), reason=boot.why_not() or "-")


@pytest.fixture(scope="module")
def gateway(booted: Booted, packages: Packages) -> Updated:
    booted.install(packages.gateway)
    booted.run("systemctl", "mask", "mosquitto", "nginx", "man-db.timer", "apt-daily.timer", check=False)
    site = Site(booted)
    site.build()
    site.configure(FIRST)
    booted.run("systemctl", "start", "reed-gateway")
    return Updated(site)


@contextmanager
def nothing_moves(gateway: Updated) -> Iterator[None]:
    with gateway.site.watched() as onlooker:
        yield
    assert onlooker.moved == []


def install(gateway: Updated, text: str, version: str, /, **custom: object) -> Answer:
    """Sign a configuration for this gateway and have it installed."""
    signed = {"version": version, "gateway": "house-7", **custom}
    path = gateway.offer(f"config/house-7-{version}.toml", text.encode(), **signed)
    return gateway.ask("install", kind="config", target=path, version=version, id="c-1", actor="alice")


def text(gateway: Updated) -> str:
    """Return the configuration that is there."""
    return gateway.machine.path(CONFIG_FILE).read_text()


def owner(gateway: Updated) -> str:
    return gateway.machine.ask("stat", "-c", "%U:%G %a", CONFIG_FILE)


def config(gateway: Updated) -> dict[str, object]:
    """Return what the applier says of the configuration."""
    said: dict[str, object] = gateway.state()["kinds"]["config"]
    return said


# --- good -------------------------------------------------------------------------------------------


def test_what_decides_about_valves_changes_with_a_restart_that_moves_none(gateway: Updated):
    pid, before = gateway.site.pid, owner(gateway)
    with nothing_moves(gateway):
        answer = install(gateway, NAMED, "1")
        assert answer.code == "", answer.detail
        assert gateway.protects()
    assert answer.ok["action"] == "restart"
    assert gateway.site.pid != pid
    assert '\n [zone.plant-room]\n+name = "Plant room"\n' in answer.ok["diff"]
    assert (text(gateway), owner(gateway)) == (NAMED, before)
    assert config(gateway)["version"] == "1"
    assert gateway.ask("commit", kind="config").ok == {"version": "1"}
    assert gateway.state()["pending"] is None


def test_what_decides_about_none_changes_without_a_restart(gateway: Updated):
    pid = gateway.site.pid
    answer = install(gateway, TALKATIVE, "2")
    assert (answer.code, answer.ok["action"]) == ("", "reload")
    assert gateway.site.pid == pid
    assert gateway.ask("commit", kind="config").ok == {"version": "2"}
    assert config(gateway)["former"] == "1"


def test_the_configuration_before_can_be_installed_again(gateway: Updated):
    assert gateway.ask("install", kind="config", target="", version="1").code == ""
    assert text(gateway) == NAMED
    assert gateway.ask("commit", kind="config").ok == {"version": "1"}
    assert gateway.ask("install", kind="config", target="", version="2").code == ""
    assert gateway.ask("commit", kind="config").ok == {"version": "2"}
    assert text(gateway) == TALKATIVE


def test_the_diff_does_not_give_keys_away(gateway: Updated):
    key = "7d2f0c5be83146a99b11c0de5eed0001"
    sensor = f'[sensor.pump]\nkind = "bthome"\naddress = "A4:C1:38:00:00:01"\nkey = "{key}"\n'
    answer = install(gateway, TALKATIVE + sensor, "3")
    assert answer.code == "", answer.detail
    assert "[sensor.pump]" in answer.ok["diff"]
    assert key not in answer.ok["diff"]
    assert key not in gateway.journal()
    gateway.ask("restore", kind="config")
    assert text(gateway) == TALKATIVE


# --- refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "custom", "code", "said"),
    [
        (("travel_s = 3.0", "travel_time = 3.0"), {}, "invalid", "valve.main.travel_time"),
        (("[board]", "[board"), {}, "invalid", "TOML"),
        (("Plant room", "Boiler"), {"gateway": "house-8"}, "incompatible", "house-8"),
        (('id = "house-7"', 'id = "house-8"'), {}, "incompatible", "house-8"),
        (("Plant room", "Boiler"), {"gateway": None}, "untrusted", "which gateway"),
        (("travel_s = 3.0", "travel_s = 2.0"), {}, "unsafe", "valve.main.travel_s"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_written(
    gateway: Updated, change: tuple[str, str], custom: dict[str, object], code: str, said: str
):
    pid = gateway.site.pid
    answer = install(gateway, TALKATIVE.replace(*change), "4", **custom)
    assert answer.code == code, answer
    assert said in answer.detail
    assert (text(gateway), gateway.site.pid) == (TALKATIVE, pid)
    assert not gateway.machine.path(OFFERED).exists()
    assert gateway.state()["pending"] is None


def test_an_older_one_is_refused_unless_everybody_means_it(gateway: Updated):
    path = gateway.offer("config/old.toml", NAMED.encode(), version="1", gateway="house-7")
    meant = gateway.offer("config/meant.toml", NAMED.encode(), version="1", gateway="house-7", downgrade=True)
    ask = {"kind": "config", "version": "1"}
    assert gateway.ask("install", target=path, downgrade=True, **ask).code == "older"
    assert gateway.ask("install", target=meant, **ask).code == "older"
    assert gateway.ask("install", target=meant, downgrade=True, **ask).code == ""
    assert gateway.ask("restore", kind="config").code == ""
    assert config(gateway)["version"] == "2"


# --- back -------------------------------------------------------------------------------------------


def test_what_nobody_commits_goes_by_itself(gateway: Updated):
    gateway.guard_after(2.0)
    with nothing_moves(gateway):
        assert install(gateway, NAMED, "5").code == ""
        gateway.settled()
    assert text(gateway) == TALKATIVE
    assert gateway.state()["outcome"]["outcome"] == "restored"
    gateway.guard_after(600.0)


def test_what_a_person_has_edited_meanwhile_is_not_overwritten(gateway: Updated):
    assert install(gateway, NAMED, "5").code == ""
    edited = NAMED + "# mended on site\n"
    gateway.site.configure(edited)
    answer = gateway.ask("restore", kind="config", detail="unhealthy")
    assert answer.ok["outcome"] == "kept"
    assert text(gateway) == edited
    assert gateway.state()["pending"] is None
    gateway.site.configure(TALKATIVE)
    gateway.machine.run("systemctl", "restart", "reed-gateway")


# --- the whole way ----------------------------------------------------------------------------------


def test_brought_as_a_file_it_is_taken_in_judged_and_kept(gateway: Updated):
    path = gateway.repository.add("config/b.toml", NAMED.encode(), version="7", gateway="house-7")
    with nothing_moves(gateway):
        assert gateway.bring(path, "7")["state"] == "succeeded"
    assert (text(gateway), config(gateway)["version"]) == (NAMED, "7")
    gateway.ask("install", kind="config", target="", version="2")
    gateway.ask("commit", kind="config")


def test_one_with_a_line_that_is_not_there_is_rolled_back_and_says_why(gateway: Updated):
    """It is valid in itself; only the health gate sees what comes of it."""
    wrong = f"{TALKATIVE}{ATTIC}"
    path = gateway.repository.add("config/c.toml", wrong.encode(), version="8", gateway="house-7")
    update = gateway.bring(path, "8")
    assert (update["state"], update["code"]) == ("rolled_back", "unhealthy"), update
    assert "attic" in update["detail"]
    assert text(gateway) == TALKATIVE
    until(gateway.protects, "the gateway")


def test_power_cuts_at_any_time_leave_one_of_two_whole_files(gateway: Updated):
    dice = random.Random(7)  # noqa: S311  # repeatable, not secret
    began_s = time.monotonic()
    assert install(gateway, NAMED, "6").code == ""
    took_s = time.monotonic() - began_s
    gateway.ask("restore", kind="config", detail="it was only a measurement")
    seen = {"former": 0, "new": 0}
    for cut in range(CUTS):
        path = gateway.offer("config/cut.toml", NAMED.encode(), version="6", gateway="house-7")
        connection = gateway.begin("install", kind="config", target=path, version="6")
        time.sleep(took_s * (cut + dice.random()) / CUTS)
        gateway.machine.cut_power()
        connection.close()
        gateway.machine.boot()
        until(gateway.protects, f"cut {cut}: the gateway", 60.0)
        seen["new" if text(gateway) == NAMED else "former"] += 1
        assert text(gateway) in (NAMED, TALKATIVE), f"cut {cut}"
        assert gateway.ask("restore", kind="config", detail=f"cut {cut}").code == ""
        assert (text(gateway), config(gateway)["version"]) == (TALKATIVE, "2")
        assert owner(gateway) == "root:reed 640"
        until(gateway.protects, f"cut {cut}: the gateway", 60.0)
    assert all(seen.values()), f"the cuts were all on one side: {seen}"
    note(f"configuration: {CUTS} power cuts in {took_s:.1f} s of installation, found after the boot: {seen}")
