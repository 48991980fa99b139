"""The gateway as a service of systemd, on Debian's Python and packages only, in a simulated building."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.harness.shell import CommandError

SOCKET = "/run/rig-building.sock"


def site(link: dict[str, Any] | None = None) -> str:
    """One zone of the demo's building, with its contact and its main valve."""
    connection = "".join(f"{key} = {value!r}\n" for key, value in link.items()) if link else ""
    return f"""
[gateway]
id = "pi-1"
[board]
kind = "sim"
socket = "{SOCKET}"
[zone.plant-room]
sensors = ["floor"]
valves = ["main"]
confirm_s = 0.0
[valve.main]
kind = "motorised"
open_line = "main-open"
close_line = "main-close"
closed_switch_line = "main-is-closed"
[sensor.floor]
kind = "contact"
line = "leak-plant-room"
""" + (f"[link]\n{connection}" if link else "")


@pytest.fixture
def building(vm: VirtualPi) -> Iterator[VirtualPi]:
    """The Pi in the demo's building."""
    vm.run(f"systemd-run -q --unit rig-building reed-gateway building --socket {SOCKET}")
    vm.run(f"timeout 60 sh -c 'until [ -S {SOCKET} ]; do sleep 0.2; done'")
    yield vm
    vm.run("systemctl stop rig-building")


def test_systemd_knows_when_it_is_ready_and_when_it_has_reloaded(building: VirtualPi) -> None:
    building.start_gateway(site())
    assert building.property("SubState") == "running"
    assert building.property("StatusText")
    started = building.property("MainPID")
    building.run("systemctl reload reed-gateway")
    assert building.property("SubState") == "running"
    assert building.property("MainPID") == started


def test_a_killed_gateway_comes_back_by_itself(building: VirtualPi) -> None:
    building.start_gateway(site())
    killed = building.property("MainPID")
    building.run("systemctl kill -s KILL reed-gateway")
    building.run(
        f"timeout 100 sh -c 'until [ $(systemctl show --value -p MainPID reed-gateway) != {killed} ]"
        " && systemctl -q is-active reed-gateway; do sleep 0.5; done'"
    )
    assert building.property("NRestarts") == "1"


def test_a_wrong_configuration_is_said_and_not_tried_again(building: VirtualPi) -> None:
    with pytest.raises(CommandError):
        building.start_gateway(site().replace("leak-plant-room", "main-close"))
    assert building.property("ExecMainStatus") == "78"
    assert building.property("SubState") == "failed"
    assert building.property("NRestarts") == "0"
    assert "Traceback" not in building.journal()
    assert "is already used by valve.main.close_line" in building.journal()


def test_a_leak_closes_the_valve_and_the_cloud_hears_of_it(building: VirtualPi, rig: Rig) -> None:
    building.start_gateway(site(rig.ask("cloud.start", gateway="pi-1")))
    rig.ask("cloud.wait", kind="status", body={"online": True}, timeout_s=50.0)
    wet_s = rig.ask("lines.now")
    building.run(f"reed-gateway building --socket {SOCKET} poke leak main")
    heard = rig.ask("cloud.wait", kind="alarm", body={"class": "alarm"}, since_s=wet_s, timeout_s=50.0)
    assert heard["at_s"] > wet_s
    rig.ask("cloud.wait", kind="valve", body={"valve_id": "main", "state": "closed"}, timeout_s=50.0)
