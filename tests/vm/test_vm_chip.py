"""The GPIO chip goes away and comes back: trouble, and then everything again."""

from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.wires.gateway import HEAD, alarms, contact, move, spring, until
from tests.vm.wires.levels import levels
from tests.vm.wires.times import Times

FLOOR, BUTTON, MAIN, LIGHT = 4, 6, 20, 22
SITE = (
    f"""{HEAD}
[button.lobby]
line = "{BUTTON}"
[indicator]
led_line = "{LIGHT}"
"""
    + contact("floor", FLOOR, "main")
    + spring("main", MAIN)
)


def test_a_chip_that_was_away_serves_contact_valve_button_and_light_again(
    vm: VirtualPi, rig: Rig, times: Times
) -> None:
    vm.start_gateway(SITE)
    move(rig, "main", "open")
    running = vm.property("MainPID")
    rig.ask("lines.power", on=False)
    view = until(rig, lambda view: "adapter/board" in alarms(view))
    assert view["state"] == "trouble"
    back_s = rig.ask("lines.now")
    rig.ask("lines.power", on=True)
    lit_s = rig.ask("record.wait", line=LIGHT, level=1, since_s=back_s, timeout_s=60)
    times.note("GPIO chip back -> its lines are served", lit_s - back_s)
    until(rig, lambda view: not alarms(view))
    assert levels(rig, MAIN, 0, back_s) == []  # its power was gone: nothing opens it but a person

    pressed_s = rig.ask("lines.press", line=BUTTON, for_s=0.4)
    rig.ask("record.wait", line=MAIN, level=1, since_s=pressed_s, timeout_s=30)
    rig.ask("lines.press", line=BUTTON, for_s=0.4)
    move(rig, "main", "auto")
    until(rig, lambda view: view["valves"]["main"]["state"] == "closed")
    wet_s = rig.ask("lines.pull", line=FLOOR, to="low")
    until(rig, lambda view: "leak/zone/floor" in alarms(view))
    assert levels(rig, MAIN, 0, wet_s) == []
    assert vm.property("MainPID") == running
