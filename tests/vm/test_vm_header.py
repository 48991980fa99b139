"""A leak at a wire: contact, valve and button on the header of the virtual Pi."""

from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig

CONTACT, OPEN_COIL, CLOSE_COIL, OPEN_SWITCH, CLOSED_SWITCH = 4, 20, 21, 5, 6

SITE = f"""
[gateway]
id = "pi-1"
[board]
kind = "linux"
[zone.cellar]
sensors = ["floor"]
valves = ["main"]
confirm_s = 0.0
[valve.main]
kind = "motorised"
open_line = "{OPEN_COIL}"
close_line = "{CLOSE_COIL}"
open_switch_line = "{OPEN_SWITCH}"
closed_switch_line = "{CLOSED_SWITCH}"
[sensor.floor]
kind = "contact"
line = "{CONTACT}"
"""


def test_a_wet_contact_closes_the_valve(vm: VirtualPi, rig: Rig) -> None:
    rig.ask(
        "valves.install",
        name="main",
        open_coil=OPEN_COIL,
        close_coil=CLOSE_COIL,
        open_switch=OPEN_SWITCH,
        closed_switch=CLOSED_SWITCH,
        travel_s=4.0,
    )
    vm.start_gateway(SITE)
    wet_s = rig.ask("lines.pull", line=CONTACT, to="low")
    closing_s = rig.ask("record.wait", line=CLOSE_COIL, level=1, since_s=wet_s, timeout_s=30)
    closed_s = rig.ask("record.wait", line=CLOSED_SWITCH, level=0, since_s=closing_s, timeout_s=30)
    rig.ask("record.wait", line=CLOSE_COIL, level=0, since_s=closed_s, timeout_s=30)
    seen = rig.ask("valves.look", name="main")
    assert seen["both_coils_s"] == []
    assert seen["position"] < 0.01
