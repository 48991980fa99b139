"""Leak sensors over Bluetooth: from an advertisement on the air through BlueZ to the line of a valve."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.vm.harness import street
from tests.vm.harness.messages import Messages
from tests.vm.harness.note import note
from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.harness.site import BOARD, guarded, hold_open
from tests.vm.harness.street import plain, sealed

PLAIN, KEYED, REPLAYED, FORGED = range(1, 5)
LINE = {PLAIN: 16, KEYED: 17, REPLAYED: 18, FORGED: 19}
HEARD_S = 60.0
OFTEN_S = 0.2

SITE = (
    BOARD
    + guarded("plain", LINE[PLAIN], street.sensor(PLAIN))
    + guarded("keyed", LINE[KEYED], street.sensor(KEYED, keyed=True))
    + guarded("replayed", LINE[REPLAYED], street.sensor(REPLAYED, keyed=True))
    + guarded("forged", LINE[FORGED], street.sensor(FORGED, keyed=True))
)


@dataclass(frozen=True)
class House:
    """The gateway at work with its radio listening."""

    vm: VirtualPi
    rig: Rig
    messages: Messages

    def view(self) -> dict[str, Any]:
        """Return what there is to see."""
        view: dict[str, Any] = json.loads(self.vm.run("reed-gateway status --json"))
        return view

    def refused(self, sensor_id: str) -> int:
        """Return how many frames of a sensor did not count."""
        refused: int = self.view()["sensors"][sensor_id]["rejected"]
        return refused

    def send(self, frame: dict[str, str]) -> float:
        """Let a sensor say this from now on; return when it first did."""
        at_s: float = self.rig.ask("air.advertise", interval_s=OFTEN_S, **frame)
        return at_s

    def closed(self, sensor: int, since_s: float, what: str) -> None:
        """Wait for its valve's line to fall, and tell how long that took."""
        fell_s = self.rig.ask(
            "record.wait",
            line=LINE[sensor],
            level=0,
            since_s=since_s,
            timeout_s=HEARD_S,
            answer_s=HEARD_S + 10,
        )
        note(f"{what}: {1000 * (fell_s - since_s):.0f} ms from the air to the valve's line")

    def writes(self, sensor: int, since_s: float) -> list[object]:
        """Return what was written to its valve's line since then."""
        writes: list[object] = self.rig.ask("record.writes", since_s=since_s, line=LINE[sensor])
        return writes


@pytest.fixture(scope="module")
def house(booted_pi: VirtualPi) -> Iterator[House]:
    booted_pi.stop_gateway()
    rig = booted_pi.rig
    rig.reset()
    rig.ask("air.plug")
    hold_open(booted_pi, *LINE.values())
    booted_pi.start_gateway(SITE)
    with Messages(booted_pi) as messages:
        rig.ask("air.until_scanning", timeout_s=HEARD_S, answer_s=HEARD_S + 10)
        yield House(booted_pi, rig, messages)
    booted_pi.stop_gateway()


def test_a_plain_wet_advert_closes_its_valve(house: House) -> None:
    since_s = house.send(plain(PLAIN, 1, wet=True))
    house.closed(PLAIN, since_s, "plain")
    house.messages.alarm("leak/zone/plain", active=True)


def test_an_encrypted_wet_advert_closes_its_valve(house: House) -> None:
    since_s = house.send(sealed(KEYED, 1, wet=True))
    house.closed(KEYED, since_s, "encrypted")
    house.messages.alarm("leak/zone/keyed", active=True)


def test_an_old_wet_frame_sent_again_is_told_and_closes_nothing(house: House) -> None:
    house.send(sealed(REPLAYED, 100, wet=False))
    house.messages.wait("sensor", sensor_id="replayed")
    since_s = house.send(sealed(REPLAYED, 99, wet=True))
    trouble = house.messages.alarm("replay/sensor/replayed", active=True)
    assert trouble["body"]["class"] == "trouble"
    assert house.writes(REPLAYED, since_s) == []
    note(f"replayed: trouble after {1000 * (trouble['mono_s'] - since_s):.0f} ms")

    new_s = house.send(sealed(REPLAYED, 101, wet=True))
    house.closed(REPLAYED, new_s, "the next true frame after a replay")

    refused = house.refused("replayed")
    house.send(sealed(REPLAYED, 100, wet=False))
    while house.refused("replayed") == refused:
        pass
    assert house.view()["sensors"]["replayed"]["wet"] is True


def test_a_frame_with_a_forged_signature_is_told_and_closes_nothing(house: House) -> None:
    since_s = house.send(sealed(FORGED, 1000, wet=True, forged=True))
    trouble = house.messages.alarm("tamper/sensor/forged", active=True)
    assert trouble["body"]["class"] == "trouble"
    assert house.writes(FORGED, since_s) == []
    note(f"forged: trouble after {1000 * (trouble['mono_s'] - since_s):.0f} ms")

    true_s = house.send(sealed(FORGED, 5, wet=True))
    house.closed(FORGED, true_s, "a true frame with a smaller counter than the forged one's")
