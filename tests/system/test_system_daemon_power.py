"""Power and network come and go as they like: the installed gateway on a disk of its own, a broker outside.

While the power is cut time after time, a second machine just stands there; its disk counts what is written.
"""

import os
import random
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from gateway.control.client import Client
from gateway.errors import ControlError
from gateway.sim.hands import Soak
from gateway.store import journal
from tests.system.harness.boot import Booted
from tests.system.harness.note import note
from tests.system.harness.outside import Outside
from tests.system.harness.package import Packages
from tests.system.harness.plugged import MIB, House, Idle, a_house
from tests.system.harness.site import CONFIG, until

CUTS = int(os.environ.get("REED_POWER_CUTS", "50"))
IDLE_S = float(os.environ.get("REED_IDLE_S", "185"))
_DAY_S = 86400.0
_TARGET_MIB = 5


@pytest.fixture(scope="module")
def house(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    yield from a_house(
        packages, tmp_path_factory.mktemp("house"), CONFIG.replace("dry_hold_s = 5.0", "dry_hold_s = 0.1")
    )


# --- network ----------------------------------------------------------------------------------------


def test_a_gateway_that_boots_without_a_network_protects_and_delivers_all_when_it_comes(house: House) -> None:
    site, _, outside = house
    house.boot()
    site.machine.run("ip", "link", "set", "lo", "down")
    assert house.view()["link"]["state"] != "up"
    site.poke(Soak("kitchen-dishwasher", 1.0))
    until(lambda: house.view()["valves"]["kitchen"]["state"] == "closed", "the valve without a network")
    with house.client() as client:
        _accept(client, [f"offline {n}" for n in range(20)])
    assert not outside.held(), "how did it get out?"

    site.machine.run("ip", "link", "set", "lo", "up")
    outside.plug(site.machine)
    house.deliver("what happened without a network")
    kinds = [message["kind"] for message in outside.held()]
    assert kinds.index("alarm") == 0, f"the alarm did not come first: {kinds}"
    assert {f"offline {n}" for n in range(20)} <= _causes(outside)
    assert outside.holes() == []
    _clear(house)


def test_a_broker_that_goes_and_comes_back_misses_nothing(house: House) -> None:
    outside = house.outside
    _running(house)
    outside.broker.stop()
    with house.client() as client:
        _accept(client, [f"without a broker {n}" for n in range(20)])
    until(lambda: house.view()["link"]["state"] != "up", "the link to be down")
    outside.broker.start()
    house.deliver("what happened without a broker")
    assert {f"without a broker {n}" for n in range(20)} <= _causes(outside)
    assert outside.holes() == []


# --- power ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("idle")
def test_power_cuts_lose_nothing_that_a_person_or_the_cloud_was_told(house: House, tmp_path: Path) -> None:
    site, disk, outside = house
    dice = random.Random(13)  # noqa: S311  # repeatable, not secret
    accepted: list[str] = []
    _running(house)
    for cut in range(CUTS):
        if dice.random() < 0.7:  # else: what gathers on the disk has to outlive the next cuts, too
            outside.plug(site.machine)
        latched = _work(house, cut, dice.uniform(0.0, 0.6), accepted)
        house.cut_power()
        house.boot()
        if latched:
            assert "leak/zone/kitchen" in _alarms(house), f"cut {cut}: a leak was forgotten"
            _clear(house)
    outside.plug(site.machine)
    house.deliver("all that outlived the power cuts")

    lost = [cause for cause in accepted if cause not in _causes(outside)]
    assert not lost, f"accepted, and forgotten in a power cut: {lost}"
    assert outside.holes() == []
    assert not outside.held("store-quarantined")
    site.machine.power_off()
    assert _broken(disk.folder, tmp_path) == []
    disk.unmount()
    assert disk.problems() == ""
    disk.mount()
    held = len(outside.held())
    note(f"{CUTS} power cuts: {len(accepted)} requests accepted, {held} messages held, none lost")


def _work(house: House, cut: int, for_s: float, accepted: list[str]) -> bool:
    """Keep the gateway busy until the cut; return whether it said that there is a leak."""
    end_s = time.monotonic() + for_s
    house.site.poke(Soak("kitchen-dishwasher", 0.2))
    with house.client() as client:
        seen = client.call("GetView")["view"]["alarms"]
        for number in count():
            _accept(client, [f"cut {cut}, request {number}"])
            accepted.append(f"cut {cut}, request {number}")
            if time.monotonic() > end_s:
                break
            time.sleep(0.01)
    return any(alarm["id"] == "leak/zone/kitchen" and alarm["latched"] for alarm in seen)


def _broken(folder: Path, tmp_path: Path) -> list[str]:
    """Return what is wrong with the outbox file, and with the journal's chain in it."""
    for name in ("reed.sqlite", "reed.sqlite-wal"):
        with suppress(FileNotFoundError):
            shutil.copy(folder / name, tmp_path / name)
    connection = sqlite3.connect(tmp_path / "reed.sqlite")
    try:
        found = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
        behind, is_last = journal.anchor(connection), False
        while not is_last:
            behind, problems, is_last = journal.verify(connection, behind)
            found += problems
        return found
    finally:
        connection.close()


# --- figures ----------------------------------------------------------------------------------------


def test_boot_to_ready_is_reported(idle: Idle) -> None:
    machine = idle.house.site.machine
    booted_s = _moment_s(machine, "UserspaceTimestampMonotonic")
    ready_s = _moment_s(machine, "ActiveEnterTimestampMonotonic", "reed-gateway") - booted_s
    begun_s = _moment_s(machine, "ExecMainStartTimestampMonotonic", "reed-gateway") - booted_s
    all_s = _moment_s(machine, "FinishTimestampMonotonic") - booted_s
    own_s = ready_s - begun_s
    share = 100 * own_s / all_s
    note(
        f"boot -> READY {ready_s:.2f} s of {all_s:.2f} s; the gateway's own part {own_s:.2f} s, {share:.0f} %"
    )
    assert 0 < begun_s < ready_s


def test_an_idle_day_writes_little(idle: Idle) -> None:
    machine = idle.house.site.machine
    time.sleep(max(0.0, idle.began_s + IDLE_S - time.monotonic()))
    os.sync()
    took_s = time.monotonic() - idle.began_s
    device, own = (now - then for now, then in zip(idle.written(), idle.before, strict=True))
    a_day = _DAY_S / took_s / MIB
    figures = f"{device * a_day:.2f} MiB a day at the device, {own * a_day:.2f} by the process"
    note(f"idle for {took_s:.0f} s: {figures} (target {_TARGET_MIB})")
    assert machine.shows("reed-gateway", "NRestarts") == "0"
    assert device * a_day < 10 * _TARGET_MIB, "ten times the target is no noise"


# --- what the stories are made of -------------------------------------------------------------------


def _running(house: House) -> None:
    with suppress(AssertionError, OSError):
        if house.site.state == "active":
            return
    house.boot()
    house.outside.plug(house.site.machine)


def _accept(client: Client, causes: list[str]) -> None:
    """Ask for something with each of these causes; all must be accepted."""
    for cause in causes:
        mode = ("occupied", "unoccupied")[client.call("GetView")["view"]["occupancy"] == "occupied"]
        *_, answer = client.stream("SetOccupancy", timeout_s=10.0, mode=mode, cause=cause)
        assert answer["state"] == "succeeded", answer


def _causes(outside: Outside) -> set[str]:
    return {message["body"]["cause"] for message in outside.held("occupancy")}


def _alarms(house: House) -> set[str]:
    return {alarm["id"] for alarm in house.view()["alarms"]}


def _clear(house: House) -> None:
    """Have the kitchen's alarm reset; its valve stays closed."""

    def reset() -> bool:
        with suppress(ControlError), house.client() as client:
            asked = client.stream(
                "ResetAlarm", timeout_s=10.0, alarm="leak/zone/kitchen", cause="it was a cup"
            )
            return bool([*asked][-1]["state"] == "succeeded")
        return False

    until(reset, "the alarm to be reset")


def _moment_s(machine: Booted, name: str, *unit: str) -> float:
    return int(machine.ask("systemctl", "show", "--value", f"--property={name}", *unit)) / 1e6
