"""A person adopts a Bluetooth sensor on the running gateway, and walk-tests it."""

import json

from tests.fakes.frames import KEY
from tests.vm.harness import street
from tests.vm.harness.note import note
from tests.vm.harness.pi import CONFIG, VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.harness.shell import Program
from tests.vm.harness.site import BOARD, contact, guarded, hold_open

NEW, STRANGER = 1, 2
VALVE_LINE, CONTACT_LINE = 16, 4

RUN = """
import sys
sys.path.insert(0, "/opt/reed")
from gateway.__main__ import main
print("ended with", main({words!r}), flush=True)
"""


def until(program: Program, part: str) -> list[str]:
    """Return what a command says up to the line with this in it."""
    said = [program.line(timeout_s=100.0)]
    while part not in said[-1]:
        said.append(program.line(timeout_s=100.0))
    return said


def test_an_encrypted_sensor_is_found_adopted_and_passes_its_walk_test(vm: VirtualPi, rig: Rig) -> None:
    rig.ask("air.plug")
    hold_open(vm, VALVE_LINE)
    vm.start_gateway(BOARD + guarded("cellar", VALVE_LINE, contact(CONTACT_LINE)))
    start_s = rig.ask("lines.now")
    rig.ask("air.advertise", interval_s=0.5, **street.sealed(NEW, 1, wet=False))
    rig.ask("air.advertise", interval_s=0.5, **street.plain(STRANGER, 1, wet=False))

    scan = json.loads(vm.run("reed-gateway ble scan --seconds 5s --json"))
    heard = {sensor["address"]: sensor for sensor in scan["sensors"]}
    assert heard[street.address(NEW)]["encrypted"]
    assert heard[street.address(STRANGER)]["wet"] is False

    words = ["ble", "learn", street.address(NEW), "--key", KEY.hex(), "--id", "sump", "--name", "Sump"]
    words += ["--zone", "cellar", "--restart", "--walk-test", "--walk-for", "90s"]
    started = vm.property("MainPID")
    learn_s = rig.ask("lines.now")
    with vm.open_python(RUN.format(words=words)) as learn:
        until(learn, "is under test")
        assert vm.property("MainPID") != started
        tested_s = rig.ask("lines.now")
        rig.ask("air.advertise", interval_s=0.5, **street.sealed(NEW, 2, wet=True))
        until(learn, "sump: wet")
        rig.ask("air.advertise", interval_s=0.5, **street.sealed(NEW, 3, wet=False))
        said = until(learn, "ended with")
    done_s = rig.ask("lines.now")
    assert "sump passed" in said
    assert said[-1] == "ended with 0"
    assert "[sensor.sump]" in vm.get(CONFIG)
    levels = {level for *_, level in rig.ask("record.writes", since_s=start_s, line=VALVE_LINE)}
    assert levels == {1}  # taken over by the restarted gateway as it was
    note(f"adopted and restarted in {tested_s - learn_s:.1f} s, walk test {done_s - tested_s:.1f} s")

    wet_s = rig.ask("air.advertise", interval_s=0.5, **street.sealed(NEW, 4, wet=True))
    fell_s = rig.ask("record.wait", line=VALVE_LINE, level=0, since_s=wet_s, timeout_s=50.0)
    note(f"the adopted sensor closes the valve {1000 * (fell_s - wet_s):.0f} ms after its wet advert")
