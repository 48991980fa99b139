"""A busy street: 100 advertisements a second of twenty sensors, each with something new, through BlueZ.

Every frame is authentic and older than the one before, so the gateway decrypts, judges and counts it
(`rejected`), and remembers none. What bluetoothd told is recorded on the bus by a third party: under
emulation it may itself be late, and then tells two changes of one sensor as one.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.vm.harness import street
from tests.vm.harness.note import note
from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.harness.site import BOARD, table

SENSORS, RATE_PER_S, LENGTH_S = 20, 100, 20
LISTENER_RATE_PER_S, LISTENER_LENGTH_S = 40, 8
AS_BLEAK = 2.0
"""Our radio alone costs about what bleak's scanner does, but emulation is not fair to either."""
NEWEST = 1_000_000
CAPTURE = "/run/rig-bus"
MOST_LOST = 0.25
"""Of what was sent: frames that BlueZ did not tell, because an emulated machine stood still meanwhile."""

SITE = BOARD + "".join(
    table(f"sensor.s{number}", street.sensor(number, keyed=True)) for number in range(SENSORS)
)

TALLY = """
import asyncio, os, sys
sys.path.insert(0, "/opt/reed")
heard = set()
def cpu_s():
    return sum(os.times()[:2])
async def tally():
    print("listening", flush=True)
    while not heard:
        await asyncio.sleep(0.1)
    begin_s, before = cpu_s(), -1
    while len(heard) != before:
        before = len(heard)
        await asyncio.sleep(2)
    print(len(heard), cpu_s() - begin_s, flush=True)
"""
BLEAK = """
import bleak
async def main():
    async with bleak.BleakScanner(lambda _, said: heard.update(said.service_data.values())):
        await tally()
asyncio.run(main())
"""
RADIO = """
from contextlib import ExitStack
from gateway.drivers.ble.config import Config
from gateway.drivers.ble.radio import BleRadio
def hear(said):
    heard.update(said.service_data.values())
async def main():
    radio = BleRadio(Config())
    with ExitStack() as listening:
        for address in {addresses!r}:
            listening.enter_context(radio.listen(address, hear))
        [part] = radio.parts().values()
        running = asyncio.create_task(part())
        await tally()
        running.cancel()
asyncio.run(main())
"""

CALIBRATION = """
import time
def run_s():
    start_s, table = time.process_time(), dict()
    for number in range(50_000):
        text = f"{number % 997:x}"
        table[text] = table.get(text, 0) + len(text)
    return time.process_time() - start_s
print(min(run_s() for _ in range(7)))
"""


def frames(count: int, newest: int) -> list[dict[str, str]]:
    return [street.sealed(number % SENSORS, newest - number, wet=False) for number in range(count)]


def on_air(sent: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(frame["address"], frame["data"]) for frame in sent]


@contextmanager
def recorded_bus(vm: VirtualPi) -> Iterator[None]:
    vm.run(f"systemd-run -q --unit rig-bus sh -c 'exec dbus-monitor --system --binary >{CAPTURE}'")
    vm.run(f"timeout 60 sh -c 'until [ -s {CAPTURE} ]; do sleep 0.2; done'")
    yield
    vm.run("systemctl stop rig-bus")


def told_on_bus(vm: VirtualPi, sent: list[dict[str, str]]) -> int:
    """Count those of the frames that bluetoothd told somebody."""
    search = "import sys\nheard = open(sys.argv[1], 'rb').read()\n"
    search += "print(sum(bytes.fromhex(line) in heard for line in sys.stdin.read().split()))"
    service_data = "\n".join(frame["data"][14:] for frame in sent)
    return int(
        vm.run(f"python3 -c '{search.replace(chr(39), chr(34))}' {CAPTURE}", given=service_data.encode())
    )


def sensors(vm: VirtualPi) -> list[dict[str, Any]]:
    return list(json.loads(vm.run("reed-gateway status --json"))["sensors"].values())


def rejected(vm: VirtualPi) -> int:
    return sum(sensor["rejected"] for sensor in sensors(vm))


def cpu_s(vm: VirtualPi) -> float:
    """Return what the gateway's process has cost so far, all threads."""
    fields = vm.get(f"/proc/{vm.property('MainPID')}/stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def settled(vm: VirtualPi) -> int:
    """Return what was rejected when nothing more comes."""
    before, now = -1, rejected(vm)
    while now != before:
        time.sleep(1)
        before, now = now, rejected(vm)
    return now


def cost_ms(vm: VirtualPi, rig: Rig, listener: str) -> float:
    """Return what one advertisement costs a program that listens, in time of the emulated processor."""
    with vm.open_python(TALLY + listener) as program:
        assert program.line() == "listening"
        rig.ask("air.until_scanning", timeout_s=60, answer_s=70)
        sent = frames(LISTENER_RATE_PER_S * LISTENER_LENGTH_S, NEWEST // 2)
        rig.ask("air.play", frames=on_air(sent), rate_per_s=LISTENER_RATE_PER_S, answer_s=100)
        count, cost_s = program.line().split()
    return 1000 * float(cost_s) / int(count)


def slow_down(vm: VirtualPi) -> float:
    """Return how much slower pure Python runs in the emulated Pi than on this machine."""
    here = subprocess.run(
        [sys.executable, "-c", CALIBRATION], capture_output=True, check=True, text=True
    ).stdout
    return float(vm.run("python3 -", given=CALIBRATION.encode())) / float(here)


def test_every_advert_that_bluez_tells_is_heard_at_a_hundred_a_second(vm: VirtualPi, rig: Rig) -> None:
    rig.ask("air.plug")
    vm.start_gateway(SITE)
    rig.ask("air.until_scanning", timeout_s=60, answer_s=70)
    first = frames(SENSORS, NEWEST + SENSORS)
    while not all(sensor["last_seen_s_ago"] for sensor in sensors(vm)):
        rig.ask("air.play", frames=on_air(first), rate_per_s=20)
    assert settled(vm) == 0

    sent = frames(RATE_PER_S * LENGTH_S, NEWEST)
    with recorded_bus(vm):
        before_s = cpu_s(vm)
        played = rig.ask("air.play", frames=on_air(sent), rate_per_s=RATE_PER_S, answer_s=LENGTH_S * 5)
        heard = settled(vm)
        ours_ms = 1000 * (cpu_s(vm) - before_s) / heard
    told = told_on_bus(vm, sent)
    vm.stop_gateway()

    bleak_ms = cost_ms(vm, rig, BLEAK)
    radio_ms = cost_ms(vm, rig, RADIO.format(addresses=[street.address(n) for n in range(SENSORS)]))
    factor = slow_down(vm)
    note(
        f"sent {len(sent)} in {played['took_s']:.1f} s; between two scans {len(played['unheard'])}; "
        f"told by bluetoothd {told}; counted by the gateway {heard}"
    )
    for who, each_ms in (
        ("the gateway", ours_ms),
        ("its radio alone", radio_ms),
        ("bleak's scanner", bleak_ms),
    ):
        share_percent = RATE_PER_S * each_ms / factor / 10
        note(f"{who}: {each_ms:.2f} ms of emulated processor for each, {share_percent:.1f} % of a core here")
    note(f"taking pure Python for all of it, which runs {factor:.0f} times slower there than here")
    assert heard == told
    assert told >= (1 - MOST_LOST) * len(sent)
    assert radio_ms < AS_BLEAK * bleak_ms
