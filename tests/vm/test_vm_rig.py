"""The rig is honest: what it claims to do to the Pi is what the Pi's own programs see."""

import time
from typing import Any

import pytest

from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.harness.shell import CommandError

BTHOME_DRY = "020106" + "0a16d2fc44000901612000"
BTHOME_WET = "020106" + "0a16d2fc44000a01612001"
BLUETOOTH_IS_ON = "timeout 60 sh -c 'until bluetoothctl show | grep -q Powered:.yes; do sleep 0.2; done'"
SENSOR = "F0:F1:F2:F3:F4:F5"

WATCH = """
import gpiod, sys, time
from gpiod.line import Bias, Edge
settings = gpiod.LineSettings(edge_detection=Edge.BOTH, bias=Bias.PULL_UP)
with gpiod.request_lines("{chip}", config={{4: settings}}) as request:
    print("ready", request.get_value(4).value, flush=True)
    for _ in range(2):
        for event in request.read_edge_events(1):
            print(event.event_type.name, event.timestamp_ns / 1e9, flush=True)
"""

SCAN = """
import asyncio, bleak, sys, time
async def main():
    async with asyncio.timeout(60):
        async with bleak.BleakScanner() as scanner:
            print("scanning", flush=True)
            async for device, advertisement in scanner.advertisement_data():
                for data in advertisement.service_data.values():
                    print(device.address, data.hex(), time.monotonic(), flush=True)
asyncio.run(main())
"""

READ = """
from pymodbus.client import ModbusSerialClient
with ModbusSerialClient("/dev/ttyROPE", baudrate=9600, timeout={timeout_s}, retries=0) as client:
    print(client.read_holding_registers({address}, count=1, slave={slave}).registers[0])
"""


def python(vm: VirtualPi, source: str, **options: Any) -> str:  # noqa: ANN401
    return vm.run("python3 -", given=source.encode(), **options).strip()


def test_libgpiod_sees_both_edges_of_a_contact(vm: VirtualPi, rig: Rig) -> None:
    with vm.open_python(WATCH.format(chip=rig.ask("lines.chip"))) as program:
        assert program.line() == "ready 1"
        start_s = rig.ask("lines.pull", line=4, to="low")
        fell = program.line().split()
        rig.ask("lines.pull", line=4, to="open")
        rose = program.line().split()
    assert (fell[0], rose[0]) == ("FALLING_EDGE", "RISING_EDGE")
    (low_s, *_, low), (high_s, *_, high) = rig.ask("record.writes", since_s=start_s, line=4)
    assert (low, high) == (0, 1)
    assert start_s <= low_s <= float(fell[1]) <= high_s <= float(rose[1])


def test_a_closed_contact_is_stronger_than_the_bias_a_program_asks_for(vm: VirtualPi, rig: Rig) -> None:
    rig.ask("lines.pull", line=4, to="low")
    assert "inactive" in vm.run("gpioget -c gpiochip0 -b pull-up 4")
    rig.ask("lines.pull", line=4, to="open")
    assert '"4"=active' in vm.run("gpioget -c gpiochip0 -b pull-up 4")


def test_no_change_of_a_line_is_too_short_to_be_recorded(vm: VirtualPi, rig: Rig) -> None:
    start_s = rig.ask("lines.now")
    python(
        vm,
        """
import gpiod
from gpiod.line import Direction, Value
settings = gpiod.LineSettings(direction=Direction.OUTPUT)
with gpiod.request_lines("/dev/gpiochip0", config={17: settings}) as request:
    for _ in range(1000):
        request.set_value(17, Value.ACTIVE)
        request.set_value(17, Value.INACTIVE)
""",
    )
    levels = [level for *_, level in rig.ask("record.writes", since_s=start_s, line=17)]
    assert levels == [0, *[1, 0] * 1000]


@pytest.mark.parametrize(("persist", "kept"), [(True, "active"), (False, "inactive")])
def test_a_released_output_keeps_its_level_only_as_the_kernel_says(
    vm: VirtualPi, rig: Rig, persist: bool, kept: str
) -> None:
    rig.ask("lines.persist", on=persist)
    python(
        vm,
        """
import gpiod
from gpiod.line import Direction, Value
settings = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.ACTIVE)
gpiod.request_lines("/dev/gpiochip0", config={17: settings}).release()
""",
    )
    assert rig.ask("lines.level", line=17) == persist
    assert f'"17"={kept}' in vm.run("gpioget -c gpiochip0 --as-is 17")
    # only now: the kernel's line info keeps the old direction until the line is requested again
    assert ("output" if persist else "input") in vm.run("gpioinfo -c gpiochip0 17")
    assert rig.ask("lines.level", line=17) == persist


def test_a_killed_program_leaves_its_output_driven_without_a_glitch(vm: VirtualPi, rig: Rig) -> None:
    start_s = rig.ask("lines.now")
    vm.run("gpioset -c gpiochip0 -z 17=1 && sleep 0.5 && pkill -KILL -x gpioset")
    vm.run("gpioget -c gpiochip0 --as-is 17")
    writes = rig.ask("record.writes", since_s=start_s, line=17)
    assert [(direction, level) for *_, direction, level in writes] == [("out", 1)]


def test_an_advertisement_reaches_bleak_and_so_does_its_change(vm: VirtualPi, rig: Rig) -> None:
    rig.ask("air.plug")
    vm.run(BLUETOOTH_IS_ON)
    rig.ask("air.advertise", address=SENSOR, data=BTHOME_DRY, interval_s=0.2, is_random=True)
    with vm.open_python(SCAN) as program:
        assert program.line() == "scanning"
        assert program.line().split()[:2] == [SENSOR, BTHOME_DRY[14:]]
        changed_s = rig.ask("air.advertise", address=SENSOR, data=BTHOME_WET, interval_s=0.2, is_random=True)
        address, data, at_s = program.line().split()
        assert (address, data) == (SENSOR, BTHOME_WET[14:])
        assert float(at_s) > changed_s
        time.sleep(1)
        seen = rig.ask("air.look")["sensors"][SENSOR]
    assert seen["heard"] < seen["sent"]  # BlueZ asks the controller to filter duplicates


def test_a_pulled_controller_is_gone_and_comes_back(vm: VirtualPi, rig: Rig) -> None:
    for plug, there in (("air.plug", "hci0"), ("air.unplug", ""), ("air.plug", "hci0")):
        rig.ask(plug)
        vm.run("udevadm settle")
        assert vm.run("ls /sys/class/bluetooth").strip() == there
    vm.run(BLUETOOTH_IS_ON)


def test_the_tpm_answers(vm: VirtualPi) -> None:
    first, second = (vm.run("tpm2_getrandom -T device:/dev/tpmrm0 --hex 16").strip() for _ in range(2))
    assert len(first) == 32
    assert first != second


def test_a_register_is_read_over_the_serial_line(vm: VirtualPi, rig: Rig) -> None:
    rig.ask("rope.set", slave=5, table="holding", address=10, values=[1234])
    assert rig.ask("rope.plug") == "/dev/ttyROPE"
    assert python(vm, READ.format(timeout_s=5, address=10, slave=5)) == "1234"
    assert rig.ask("rope.requests") == {"5": 1}


def test_a_dead_slave_is_silent_and_an_unplugged_adapter_is_gone(vm: VirtualPi, rig: Rig) -> None:
    rig.ask("rope.set", slave=5, table="holding", address=10, values=[1234])
    rig.ask("rope.plug")
    rig.ask("rope.die", slave=5)
    with pytest.raises(CommandError, match="No response"):
        python(vm, READ.format(timeout_s=2, address=10, slave=5))
    rig.ask("rope.unplug")
    assert vm.run("ls /dev/ttyROPE", check=False) == ""
    rig.ask("rope.die", slave=5, dead=False)
    rig.ask("rope.plug")
    assert python(vm, READ.format(timeout_s=5, address=10, slave=5)) == "1234"


def test_the_converter_converts_the_input_and_the_range_it_was_asked_for(vm: VirtualPi, rig: Rig) -> None:
    bus = rig.ask("converter.plug", address=0x48).removeprefix("/dev/i2c-")
    rig.ask("converter.volt", channel=2, volts=1.024)

    def converted(config: int) -> int:
        turned = (config & 0xFF) << 8 | config >> 8  # SMBus sends the low byte first
        read = vm.run(f"i2cset -y {bus} 0x48 1 {turned:#x} w && i2cget -y {bus} 0x48 0 w")
        return int(read.strip()[4:6] + read.strip()[2:4], 16)

    assert converted(0xC000 | 2 << 12 | 1 << 9) == 0x2000  # input 2, 4.096 V: a quarter of the range
    assert converted(0xC000 | 2 << 12 | 2 << 9) == 0x4000  # 2.048 V: a half
    assert converted(0xC000 | 1 << 12 | 1 << 9) == 0  # input 1
    rig.ask("converter.silence")
    assert vm.run(f"i2cget -y {bus} 0x48 0 w", check=False) == ""


def test_a_valve_travels_and_tells_where_it_is(vm: VirtualPi, rig: Rig) -> None:
    rig.ask(
        "valves.install",
        name="main",
        open_coil=20,
        close_coil=21,
        open_switch=5,
        closed_switch=6,
        travel_s=2.0,
    )
    assert (rig.ask("lines.level", line=5), rig.ask("lines.level", line=6)) == (0, 1)
    vm.run("gpioset -c gpiochip0 -z 21=1")
    on_s = rig.ask("record.wait", line=21, level=1, since_s=0.0, timeout_s=10)
    left_s = rig.ask("record.wait", line=5, level=1, since_s=on_s, timeout_s=10)
    arrived_s = rig.ask("record.wait", line=6, level=0, since_s=on_s, timeout_s=10)
    vm.run("pkill -x gpioset")
    assert 0.02 <= left_s - on_s < arrived_s - left_s
    assert 1.98 <= arrived_s - on_s < 4.0
    assert rig.ask("valves.look", name="main")["position"] < 0.01


def test_a_seized_valve_never_arrives(vm: VirtualPi, rig: Rig) -> None:
    rig.ask("valves.install", name="main", open_coil=20, close_coil=21, closed_switch=6, travel_s=1.0)
    rig.ask("valves.break_", name="main", stuck_at=0.5)
    vm.run("gpioset -c gpiochip0 -z 21=1; sleep 3; pkill -x gpioset")
    assert rig.ask("valves.look", name="main")["position"] == 0.5
    assert rig.ask("lines.level", line=6) == 1


def test_a_person_without_a_certificate_does_not_reach_the_broker(vm: VirtualPi, rig: Rig) -> None:
    link = rig.ask("cloud.start", gateway="pi-1")
    mosquitto = (
        f"timeout 20 mosquitto_pub -V 5 -h {link['host']} -p {link['port']} --cafile {link['ca_file']}"
    )
    mosquitto += " -q 1 -t reed/v1/pi-1/up/event/x -m hello"
    with pytest.raises(CommandError):
        vm.run(mosquitto)
    vm.run(f"{mosquitto} --cert {link['cert_file']} --key {link['key_file']}")


def test_what_was_synced_survives_a_power_cut(vm: VirtualPi) -> None:
    booted = vm.get("/proc/sys/kernel/random/boot_id")
    vm.put("/var/tmp/kept", "kept")
    vm.run("tpm2_nvdefine -Q -s 4 0x1500016 && echo -n kept | tpm2_nvwrite -Q -i - 0x1500016; sync")
    vm.cut_power()
    vm.boot()
    assert vm.get("/proc/sys/kernel/random/boot_id") != booted
    assert vm.get("/var/tmp/kept") == "kept"
    assert vm.run("tpm2_nvread -s 4 0x1500016") == "kept"
