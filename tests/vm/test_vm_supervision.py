"""Dead sensors are noticed, with real processes and short deadlines.

A day with the real deadlines passes in virtual time (tests/domain/test_sensor_day.py).
"""

import time

from tests.vm.harness import street
from tests.vm.harness.messages import Messages
from tests.vm.harness.note import note
from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.rig import Rig
from tests.vm.harness.site import BOARD, guarded, hold_open

SILENCE_S = 8.0
DEADLINES = 3
ALIVE, SILENT, IMITATED = "alive", "silent", "imitated"
NUMBER = {ALIVE: 1, SILENT: 2, IMITATED: 3}
LINE = {ALIVE: 16, SILENT: 17, IMITATED: 18}

SITE = BOARD + "".join(
    guarded(name, LINE[name], street.sensor(number, keyed=True, silence_s=SILENCE_S))
    for name, number in NUMBER.items()
)


def missing(sensor: str) -> str:
    return f"sensor-missing/sensor/{sensor}"


def test_a_silent_sensor_is_missed_once_a_forged_frame_does_not_keep_it_alive_and_it_is_welcomed_back(
    vm: VirtualPi, rig: Rig
) -> None:
    rig.ask("air.plug")
    hold_open(vm, *LINE.values())
    vm.start_gateway(SITE)

    def says(name: str, counter: int, *, forged: bool = False) -> float:
        frame = street.sealed(NUMBER[name], counter, wet=False, forged=forged)
        at_s: float = rig.ask("air.advertise", interval_s=0.5, **frame)
        return at_s

    with Messages(vm) as messages:
        start_s = rig.ask("lines.now")
        true_s = {name: says(name, 1) for name in NUMBER}
        for name in NUMBER:
            messages.wait("sensor", sensor_id=name)
        rig.ask("air.silence", address=street.address(NUMBER[SILENT]))
        says(IMITATED, 2, forged=True)
        for counter in range(2, 2 + round(DEADLINES * SILENCE_S / 2)):
            says(ALIVE, counter)
            time.sleep(2)
        for name in (SILENT, IMITATED):
            [alarm] = messages.said("alarm", start_s, alarm_id=missing(name))
            assert (alarm["body"]["active"], alarm["body"]["class"]) == (True, "trouble")
            assert alarm["mono_s"] >= true_s[name] + SILENCE_S
            note(f"{name}: missed {alarm['mono_s'] - true_s[name]:.1f} s after its last true frame, once")
        assert messages.said("alarm", start_s, alarm_id=missing(ALIVE)) == []

        for name in (SILENT, IMITATED):
            back_s = says(name, 3)
            back = messages.alarm(missing(name), active=False, since_s=back_s)
            note(f"{name}: welcomed back after {back['mono_s'] - back_s:.2f} s")
    for line in LINE.values():
        assert rig.ask("record.writes", since_s=start_s, line=line) == []
