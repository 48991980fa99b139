"""Leak ropes on the serial port: from a register to the valve's line and to the cloud, over mutual TLS."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.vm.harness.note import note
from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.harness.shell import CommandError
from tests.vm.harness.site import BOARD, guarded, hold_open, table

ROPE, CABLE = 5, 6
LINE = {ROPE: 16, CABLE: 17}
LEAK_BIT, BREAK_BIT = 1, 2
DM, AT_DM = 0, 123
PROFILE = "aqualeak-10k"
WAIT_S = 50.0
PORT = {"device": "/dev/ttyROPE", "baud": 9600, "timeout_s": 0.5}


def rope(unit: int) -> dict[str, object]:
    return {"kind": "modbus", "port": "ropes", "unit": unit, "profile": PROFILE, "every_s": 1.0}


@dataclass(frozen=True)
class House:
    """Two ropes and a cloud that hears of them."""

    vm: VirtualPi
    rig: Rig

    def says(self, unit: int, status: int) -> float:
        """Let a rope's controller say this from now on; return since when."""
        now_s: float = self.rig.ask("lines.now")
        self.rig.ask("rope.set", slave=unit, table="input", address=0, values=[status, AT_DM, DM])
        return now_s

    def alarm(self, alarm_id: str, since_s: float, *, active: bool = True) -> dict[str, Any]:
        """Wait until the cloud hears of an alarm, or of its end; return what it heard."""
        heard: dict[str, Any] = self.rig.ask(
            "cloud.wait",
            kind="alarm",
            body={"alarm_id": alarm_id, "active": active},
            since_s=since_s,
            timeout_s=WAIT_S,
            answer_s=WAIT_S + 10,
        )
        note(f"{alarm_id} {'present' if active else 'gone'}: cloud after {heard['at_s'] - since_s:.2f} s")
        body: dict[str, Any] = heard["message"]["body"]
        return body

    def closes(self, unit: int, since_s: float) -> None:
        """Wait for the valve of a rope to be closed."""
        fell_s = self.rig.ask("record.wait", line=LINE[unit], level=0, since_s=since_s, timeout_s=WAIT_S)
        note(f"from the register to the valve's line: {fell_s - since_s:.2f} s")


@pytest.fixture(scope="module")
def house(booted_pi: VirtualPi) -> Iterator[House]:
    booted_pi.stop_gateway()
    rig = booted_pi.rig
    rig.reset()
    house = House(booted_pi, rig)
    for unit in (ROPE, CABLE):
        house.says(unit, 0)
    rig.ask("rope.plug")
    hold_open(booted_pi, *LINE.values())
    link = rig.ask("cloud.start", gateway="pi-1")
    booted_pi.start_gateway(
        BOARD
        + table("serial.ropes", PORT)
        + guarded("rope", LINE[ROPE], rope(ROPE))
        + guarded("cable", LINE[CABLE], rope(CABLE))
        + table("link", link)
    )
    rig.ask("cloud.wait", kind="status", body={"online": True}, timeout_s=WAIT_S)
    yield house
    booted_pi.stop_gateway()


def test_a_leak_at_12_3_m_closes_the_valve_and_reaches_the_cloud_with_its_place(house: House) -> None:
    wet_s = house.says(ROPE, LEAK_BIT)
    house.closes(ROPE, wet_s)
    alarm = house.alarm("leak/zone/rope", wet_s)
    assert alarm["places"] == [{"sensor_id": "rope", "distance_m": 12.3}]
    assert "at 12.3 m" in alarm["detail"]


def test_a_broken_cable_is_trouble_and_closes_nothing(house: House) -> None:
    broken_s = house.says(CABLE, BREAK_BIT)
    alarm = house.alarm("sensor-fault/sensor/cable", broken_s)
    assert (alarm["class"], alarm["detail"]) == ("trouble", "cable break")
    mended_s = house.says(CABLE, 0)
    house.alarm("sensor-fault/sensor/cable", mended_s, active=False)
    assert house.rig.ask("record.writes", since_s=broken_s, line=LINE[CABLE]) == []


def test_a_serial_port_that_is_pulled_out_is_trouble_until_it_is_back(house: House) -> None:
    out_s = house.rig.ask("lines.now")
    house.rig.ask("rope.unplug")
    alarm = house.alarm("adapter/serial/ropes", out_s)
    assert alarm["class"] == "trouble"
    assert "/dev/ttyROPE: gone; check the cable" in alarm["detail"]
    assert house.rig.ask("record.writes", since_s=out_s, line=LINE[CABLE]) == []

    back_s = house.says(CABLE, LEAK_BIT)
    house.rig.ask("rope.plug")
    house.closes(CABLE, back_s)
    house.alarm("leak/zone/cable", back_s)
    house.alarm("adapter/serial/ropes", back_s, active=False)


def test_a_person_may_look_at_the_port_only_while_the_gateway_does_not_have_it(house: House) -> None:
    read = f"reed-gateway modbus read ropes {ROPE} --profile {PROFILE} --json"
    with pytest.raises(CommandError, match=r"held by python3 \(process \d+\)") as refused:
        house.vm.run(read)
    assert "systemctl stop reed-gateway" in str(refused.value)
    assert "Traceback" not in str(refused.value)

    house.vm.run("systemctl stop reed-gateway")
    says = json.loads(house.vm.run(read))
    assert (says["wet"], says["distance_m"], says["fault"]) == (True, 12.3, "")
    found = json.loads(house.vm.run("reed-gateway modbus scan ropes --units 4-7 --json"))
    assert [unit["unit"] for unit in found] == [ROPE, CABLE]
    assert all(PROFILE in unit["profiles"] for unit in found)
