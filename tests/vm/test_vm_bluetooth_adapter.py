"""Bluetooth that goes away and comes back: bluetoothd killed, and the adapter pulled out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.vm.harness import street
from tests.vm.harness.messages import Messages
from tests.vm.harness.note import note
from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.harness.site import BOARD, contact, guarded, hold_open

ADAPTER = "adapter/bluetooth/hci0"
WAIT_S = 90.0
RADIO_LINE = {1: 16, 2: 17}
WIRED_LINE = {1: 18, 2: 19}
CONTACT_LINE = {1: 4, 2: 5}

SITE = BOARD + "".join(
    guarded(f"radio-{number}", RADIO_LINE[number], street.sensor(number))
    + guarded(f"wired-{number}", WIRED_LINE[number], contact(CONTACT_LINE[number]))
    for number in (1, 2)
)


@dataclass(frozen=True)
class House:
    """The gateway with one radio sensor and one wired contact for each story."""

    vm: VirtualPi
    rig: Rig
    messages: Messages

    def loses(self, number: int, how: Callable[[], object], back: Callable[[], object]) -> None:
        """Play it: what is lost is told as the adapter's trouble, wires go on, and what comes back acts."""
        lost_s = self.rig.ask("lines.now")
        how()
        trouble = self.messages.alarm(ADAPTER, active=True, since_s=lost_s, timeout_s=WAIT_S)
        assert trouble["body"]["class"] == "trouble"
        note(f"told after {trouble['mono_s'] - lost_s:.2f} s: {trouble['body']['detail']}")

        wet_s = self.rig.ask("lines.pull", line=CONTACT_LINE[number], to="low")
        note(f"a wired leak meanwhile: {1000 * (self.fell_s(WIRED_LINE[number], wet_s) - wet_s):.0f} ms")

        back_s = self.rig.ask("lines.now")
        back()
        self.rig.ask("air.until_scanning", timeout_s=WAIT_S, answer_s=WAIT_S + 10)
        listening_s = self.rig.ask("lines.now")
        wet_s = self.rig.ask("air.advertise", interval_s=0.2, **street.plain(number, 9, wet=True))
        acted_s = self.fell_s(RADIO_LINE[number], wet_s) - wet_s
        note(
            f"back: listens after {listening_s - back_s:.2f} s, a wet advert acts in {1000 * acted_s:.0f} ms"
        )

        cleared = self.messages.alarm(ADAPTER, active=False, since_s=back_s, timeout_s=WAIT_S)
        note(f"cleared by itself after {cleared['mono_s'] - back_s:.2f} s")
        told = {message["body"]["alarm_id"] for message in self.messages.said("alarm", lost_s)}
        assert told == {ADAPTER, f"leak/zone/wired-{number}", f"leak/zone/radio-{number}"}

    def fell_s(self, line: int, since_s: float) -> float:
        """Wait for a valve's line to fall and return when it did."""
        wish = {"line": line, "level": 0, "since_s": since_s, "timeout_s": WAIT_S}
        at_s: float = self.rig.ask("record.wait", answer_s=WAIT_S + 10, **wish)
        return at_s


@pytest.fixture(scope="module")
def house(booted_pi: VirtualPi) -> Iterator[House]:
    booted_pi.stop_gateway()
    rig = booted_pi.rig
    rig.reset()
    rig.ask("air.plug")
    hold_open(booted_pi, *RADIO_LINE.values(), *WIRED_LINE.values())
    booted_pi.start_gateway(SITE)
    with Messages(booted_pi) as messages:
        for number in (1, 2):
            rig.ask("air.advertise", interval_s=0.5, **street.plain(number, 1, wet=False))
        for number in (1, 2):
            messages.wait("sensor", sensor_id=f"radio-{number}", timeout_s=WAIT_S)
        yield House(booted_pi, rig, messages)
    booted_pi.run("systemctl unmask --runtime -q bluetooth; systemctl start bluetooth", check=False)
    booted_pi.stop_gateway()


def test_bluetoothd_that_is_killed_is_the_adapters_trouble_until_it_is_back(house: House) -> None:
    run = house.vm.run
    house.loses(
        1,
        # masked, or the gateway would have started it again at once
        lambda: run("systemctl mask --runtime -q bluetooth; systemctl kill -s KILL bluetooth"),
        lambda: run("systemctl unmask --runtime -q bluetooth; systemctl start --no-block bluetooth"),
    )


def test_an_adapter_that_is_pulled_out_is_trouble_until_it_is_back(house: House) -> None:
    house.loses(2, lambda: house.rig.ask("air.unplug"), lambda: house.rig.ask("air.plug"))
