"""Supervised loops at an ADS1115 on I2C: dry, wet, cut and shorted are told apart, and only wet closes."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.vm.harness.messages import Messages
from tests.vm.harness.note import note
from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.harness.site import BOARD, guarded, hold_open, table

CUT, SHORTED, WET = "cut", "shorted", "wet"
CHANNEL = {CUT: 0, SHORTED: 1, WET: 2}
LINE = {CUT: 16, SHORTED: 17, WET: 18}
SUPPLY_CHANNEL, SUPPLY_V = 3, 3.3
DRY_V, WET_V, CUT_V, SHORT_V = 2.272, 1.052, 3.3, 0.0
"""Of 3.3 V, with the usual resistors: 4.7 kOhm pull-up, 2.2 kOhm in line, 8.2 kOhm across the contact."""


@dataclass(frozen=True)
class House:
    """Three loops, dry at first."""

    rig: Rig
    messages: Messages

    def volt(self, loop: str, volts: float) -> float:
        """Put this at a loop's input; return since when."""
        now_s: float = self.rig.ask("lines.now")
        self.rig.ask("converter.volt", channel=CHANNEL[loop], volts=volts)
        return now_s

    def closes(self, loop: str, since_s: float) -> None:
        """Wait for its valve to be closed."""
        fell_s = self.rig.ask("record.wait", line=LINE[loop], level=0, since_s=since_s, timeout_s=50.0)
        note(f"wet loop to valve line: {fell_s - since_s:.2f} s")

    def is_trouble(self, loop: str, detail: str, since_s: float) -> None:
        """Wait for the loop's trouble; its valve has not been touched."""
        alarm_id = f"sensor-fault/sensor/{loop}"
        alarm = self.messages.alarm(alarm_id, active=True, since_s=since_s)
        assert (alarm["body"]["class"], alarm["body"]["detail"]) == ("trouble", detail)
        assert self.rig.ask("record.writes", since_s=since_s, line=LINE[loop]) == []
        note(f"{detail}: trouble after {alarm['mono_s'] - since_s:.2f} s")

    def is_well_again(self, loop: str, since_s: float) -> None:
        """Wait until its trouble is over."""
        self.messages.alarm(f"sensor-fault/sensor/{loop}", active=False, since_s=since_s)


@pytest.fixture(scope="module")
def house(booted_pi: VirtualPi) -> Iterator[House]:
    booted_pi.stop_gateway()
    rig = booted_pi.rig
    rig.reset()
    device = rig.ask("converter.plug", address=0x48)
    rig.ask("converter.volt", channel=SUPPLY_CHANNEL, volts=SUPPLY_V)
    for channel in CHANNEL.values():
        rig.ask("converter.volt", channel=channel, volts=DRY_V)
    hold_open(booted_pi, *LINE.values())
    adc = {"kind": "ads1115", "device": device, "supply_channel": SUPPLY_CHANNEL}
    loops = (
        guarded(loop, LINE[loop], {"kind": "loop", "adc": "loops", "channel": channel})
        for loop, channel in CHANNEL.items()
    )
    booted_pi.start_gateway(BOARD + table("adc.loops", adc) + "".join(loops))
    with Messages(booted_pi) as messages:
        yield House(rig, messages)
    booted_pi.stop_gateway()


def test_a_cut_loop_is_trouble_closes_nothing_and_acts_when_it_is_mended(house: House) -> None:
    house.is_trouble(CUT, "loop open", house.volt(CUT, CUT_V))
    house.is_well_again(CUT, house.volt(CUT, DRY_V))
    house.closes(CUT, house.volt(CUT, WET_V))


def test_a_shorted_loop_is_trouble_and_closes_nothing(house: House) -> None:
    house.is_trouble(SHORTED, "loop short", house.volt(SHORTED, SHORT_V))
    house.is_well_again(SHORTED, house.volt(SHORTED, DRY_V))


def test_a_converter_that_falls_silent_is_trouble_of_its_own_until_it_answers_again(house: House) -> None:
    silent_s = house.rig.ask("lines.now")
    house.rig.ask("converter.silence")
    trouble = house.messages.alarm("adapter/adc/loops", active=True, since_s=silent_s)
    note(f"silent converter: {trouble['mono_s'] - silent_s:.2f} s, {trouble['body']['detail']}")
    assert house.rig.ask("record.writes", since_s=silent_s, line=LINE[WET]) == []
    back_s = house.rig.ask("lines.now")
    house.rig.ask("converter.silence", silent=False)
    house.messages.alarm("adapter/adc/loops", active=False, since_s=back_s)


def test_a_wet_loop_closes_its_valve(house: House) -> None:
    house.closes(WET, house.volt(WET, WET_V))
    house.messages.alarm("leak/zone/wet", active=True)
