"""The daemon ends in every way, with valves open, closed and half way: lines change as the policy says only.

The policy is the table under "Failsafe" in docs/hardware.md. The record has every write of a level.
"""

from dataclasses import dataclass

from tests.vm.harness.pi import CONFIG, VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.wires.gateway import HEAD, View, contact, install, latching, motor, move, spring, until
from tests.vm.wires.levels import changes, levels
from tests.vm.wires.times import Times

FLOOR = 4
HELD, DROPPED, SHUT = 16, 17, 18
STROKE, REST, OPENING, PULSE = (20, 21), (22, 23), (24, 25), (26, 27)
STROKE_ENDS, REST_ENDS, OPENING_ENDS = (7, 8), (9, 10), (11, 12)
COILS = (HELD, DROPPED, SHUT, *STROKE, *REST, *OPENING, *PULSE)
SITE = (
    HEAD
    + spring("held", HELD, "hold")
    + spring("dropped", DROPPED, "close")
    + spring("shut", SHUT, "hold")
    + motor("stroke", STROKE, STROKE_ENDS, 20.0)
    + motor("rest", REST, REST_ENDS, 20.0)
    + motor("opening", OPENING, OPENING_ENDS, 20.0)
    + latching("pulse", PULSE)
    + contact("floor", FLOOR, "stroke")
)
AGAIN = (
    "timeout 100 sh -c 'until [ $(systemctl show --value -p MainPID reed-gateway) != {pid} ]"
    " && systemctl -q is-active reed-gateway; do sleep 0.2; done'"
)

DOCTOR_ON_STRICT = """
unshare -m sh -c 'mount -t tmpfs none /sys/module
mkdir -p /sys/module/pinctrl_bcm2835/parameters
echo N >/sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs
reed-gateway doctor'
"""
"""The doctor of a Pi whose kernel tells that it is strict: gpio-sim has the habit, but not the parameter."""


@dataclass(frozen=True)
class Scene:
    """All valves as the daemon's end finds them: the time, and the level of each coil's line."""

    at_s: float
    before: dict[int, int]

    def became(self, rig: Rig) -> dict[int, list[int]]:
        """Return every line that has changed since then, with each of its levels."""
        told = {line: levels(rig, line, self.before[line], self.at_s) for line in COILS}
        return {line: found for line, found in told.items() if found}


def set_up(vm: VirtualPi, rig: Rig, travel_s: float) -> Scene:
    """Start the gateway; valves open, closed, one on its way to open, and one half way because of a leak."""
    install(rig, "stroke", STROKE, STROKE_ENDS, travel_s=travel_s)
    install(rig, "rest", REST, REST_ENDS, travel_s=20.0)
    install(rig, "opening", OPENING, OPENING_ENDS, travel_s=20.0, position=0.0)
    vm.start_gateway(SITE)
    for line in COILS:
        assert levels(rig, line, 0, 0.0) == [], f"the start has moved line {line}"
    move(rig, "held", "open")
    move(rig, "dropped", "open")
    move(rig, "opening", "open", wait=False)
    wet_s = rig.ask("lines.pull", line=FLOOR, to="low")
    on_s = rig.ask("record.wait", line=STROKE[1], level=1, since_s=wet_s, timeout_s=30)
    rig.ask("lines.sleep_until", at_s=on_s + 0.05 * travel_s)
    before = {line: rig.ask("lines.level", line=line) for line in COILS}
    assert {line for line, level in before.items() if level} == {HELD, DROPPED, OPENING[0], STROKE[1]}
    return Scene(rig.ask("lines.now"), before)


AFTER_CLEAN_END = {DROPPED: [0], OPENING[0]: [0], STROKE[1]: [0]}
"""Held open stays, the stroke for the leak comes to its end, an opening is broken off."""


def states(view: View) -> dict[str, str]:
    return {name: valve["state"] for name, valve in view["valves"].items()}


def assert_settled(rig: Rig) -> None:
    """The end state of the policy, as the valves have it and as the gateway shows it."""
    view = until(rig, lambda view: view["valves"]["stroke"]["state"] == "closed")
    found = states(view)
    assert (found["held"], found["dropped"], found["shut"]) == ("open", "closed", "closed")
    assert (found["rest"], found["opening"]) == ("open", "unknown")
    assert view["valves"]["stroke"]["closure"] == "confirmed"
    assert view["zones"]["floor"]["latched"]
    assert rig.ask("valves.look", name="stroke")["position"] < 0.02
    assert 0.0 < rig.ask("valves.look", name="opening")["position"] < 1.0
    for valve in ("stroke", "rest", "opening"):
        assert rig.ask("valves.look", name=valve)["both_coils_s"] == []


def test_a_stop_ends_as_the_policy_says_and_the_next_start_moves_nothing(
    vm: VirtualPi, rig: Rig, times: Times
) -> None:
    scene = set_up(vm, rig, travel_s=8.0)
    vm.run("systemctl stop reed-gateway")
    assert vm.property("Result") == "success"
    assert scene.became(rig) == AFTER_CLEAN_END
    ((made_s, _),) = changes(rig, STROKE_ENDS[1], 1, scene.at_s)
    off_s = changes(rig, STROKE[1], 1, scene.at_s)[0][0]
    assert off_s > made_s
    assert rig.ask("valves.look", name="stroke")["position"] < 0.02
    for line, what in ((DROPPED, "valve of `close` released"), (OPENING[0], "opening motor off")):
        times.note(f"stop -> {what}", changes(rig, line, 1, scene.at_s)[0][0] - scene.at_s)
    vm.run("systemctl start reed-gateway")
    assert_settled(rig)
    assert scene.became(rig) == AFTER_CLEAN_END


def test_an_upgrade_ends_as_the_policy_says(vm: VirtualPi, rig: Rig, times: Times) -> None:
    scene = set_up(vm, rig, travel_s=8.0)
    vm.run(
        "cp -a /opt/reed /opt/reed.new && sed -i 's/^__version__.*/__version__ = \"9.9.9\"/'"
        " /opt/reed.new/gateway/__init__.py && mv /opt/reed /opt/reed.old && mv /opt/reed.new /opt/reed"
    )
    try:
        vm.run("systemctl daemon-reload")
        asked_s = rig.ask("lines.now")
        vm.run("systemctl restart reed-gateway")
        ready_s = float(vm.property("ActiveEnterTimestampMonotonic")) / 1e6
        assert rig.ask("daemon.view")["gateway"]["version"] == "9.9.9"
        assert_settled(rig)
        assert scene.became(rig) == AFTER_CLEAN_END
        times.note("upgrade with a valve of 8 s half way: restart -> READY", ready_s - asked_s)
    finally:
        vm.run("rm -rf /opt/reed && mv /opt/reed.old /opt/reed")


def test_a_killed_daemon_leaves_no_coil_on_and_finishes_the_closing_for_the_leak(
    vm: VirtualPi, rig: Rig, times: Times
) -> None:
    scene = set_up(vm, rig, travel_s=20.0)
    pid = int(vm.property("MainPID"))
    killed_s = rig.ask("daemon.kill_in_motion", pid=pid, valve="pulse", wish="close", line=PULSE[1])
    vm.run(AGAIN.format(pid=pid))
    ready_s = float(vm.property("ActiveEnterTimestampMonotonic")) / 1e6
    assert_settled(rig)
    assert scene.became(rig) == {
        DROPPED: [0],
        OPENING[0]: [0],
        PULSE[1]: [1, 0],
        STROKE[1]: [0, 1, 0],  # the failsafe cuts it, the new daemon goes on, the switch ends it
    }
    cut, on_again, _ = changes(rig, STROKE[1], 1, scene.at_s)
    times.note("SIGKILL -> closing motor off (failsafe)", cut[0] - killed_s)
    times.note("SIGKILL in a pulse -> coil off", changes(rig, PULSE[1], 0, scene.at_s)[1][0] - killed_s)
    times.note("SIGKILL -> READY again", ready_s - killed_s)
    times.note("SIGKILL -> the closing for the leak goes on", on_again[0] - killed_s)


def test_a_broken_configuration_keeps_neither_the_failsafe_from_acting_nor_the_machine_busy(
    vm: VirtualPi, rig: Rig
) -> None:
    scene = set_up(vm, rig, travel_s=20.0)
    vm.put(CONFIG, SITE.replace(f'"{FLOOR}"', f'"{STROKE[1]}"'), 0o640)
    vm.run("systemctl kill -s KILL reed-gateway")
    vm.run("timeout 100 sh -c 'until systemctl -q is-failed reed-gateway; do sleep 0.2; done'")
    assert vm.property("ExecMainStatus") == "78"
    assert vm.property("NRestarts") == "1"
    assert scene.became(rig) == {DROPPED: [0], OPENING[0]: [0], STROKE[1]: [0]}
    said = vm.journal()
    assert f'sensor.floor.line: "{STROKE[1]}" is already used' in said
    assert "Traceback" not in said


def test_a_strict_kernel_takes_every_line_back_and_the_doctor_says_so(vm: VirtualPi, rig: Rig) -> None:
    rig.ask("lines.persist", on=False)
    scene = set_up(vm, rig, travel_s=8.0)
    told = vm.run(DOCTOR_ON_STRICT, check=False)
    assert "warn  outputs: fall to their pull resistors when the gateway ends" in told
    vm.run("systemctl stop reed-gateway")
    # `hold` cannot hold, and the stroke stops half way: who needs them fits resistors or changes the kernel
    assert scene.became(rig) == {HELD: [0], DROPPED: [0], OPENING[0]: [0], STROKE[1]: [0]}
    assert 0.0 < rig.ask("valves.look", name="stroke")["position"] < 1.0
    vm.run("systemctl start reed-gateway")
    view = until(rig, lambda view: view["valves"]["stroke"]["state"] == "closed")
    assert states(view)["held"] == "closed"
    assert scene.became(rig) == {HELD: [0], DROPPED: [0], OPENING[0]: [0], STROKE[1]: [0, 1, 0]}
