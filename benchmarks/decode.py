"""Decoding a BLE frame: ours against bthome-ble, plain and keyed, in the same run.

python -m benchmarks.decode
"""

import logging
import time
from collections.abc import Callable, Sequence
from statistics import median

from bleak.backends.device import BLEDevice
from bthome_ble.parser import BTHomeBluetoothDeviceData
from habluetooth import BluetoothServiceInfoBleak

from benchmarks.frames import ADDRESS, KEY, keyed_frame, plain_frame
from benchmarks.report import Row, at_least, show
from gateway.domain.ports import Advert
from gateway.drivers.sensors import load

FRAMES = 2000
ROUNDS = 7


def ours(frames: Sequence[bytes], key: bytes | None) -> Callable[[], None]:
    """Return a run over all frames by our decoder."""
    decode = load("bthome").decode
    if decode is None:
        raise AssertionError("bthome is a radio sensor")
    adverts = [Advert(ADDRESS, service_data={0xFCD2: frame}) for frame in frames]

    def run() -> None:
        for advert in adverts:
            decode(advert, key)

    return run


def theirs(frames: Sequence[bytes], key: bytes | None) -> Callable[[], None]:
    """Return a run over all frames by bthome-ble, as its users call it."""
    infos = [_info(frame, at_s=10.0 * number) for number, frame in enumerate(frames)]

    def run() -> None:
        device = BTHomeBluetoothDeviceData(bindkey=key)
        for info in infos:
            device.update(info)

    return run


def _info(frame: bytes, at_s: float) -> BluetoothServiceInfoBleak:
    return BluetoothServiceInfoBleak(
        name="",
        address=ADDRESS,
        rssi=-60,
        manufacturer_data={},
        service_data={"0000fcd2-0000-1000-8000-00805f9b34fb": frame},
        service_uuids=[],
        source="",
        device=BLEDevice(ADDRESS, None, {}),
        advertisement=None,
        connectable=False,
        time=at_s,
        tx_power=None,
    )


def us_per_frame(run: Callable[[], None]) -> float:
    """Return the median over some rounds, microseconds."""
    run()
    durations_s = []
    for _ in range(ROUNDS):
        begin_s = time.perf_counter()
        run()
        durations_s.append(time.perf_counter() - begin_s)
    return median(durations_s) / FRAMES * 1e6


def measure() -> list[Row]:
    """Return how many times faster ours is."""
    logging.disable()
    rows = []
    for name, frame_of, key, target in (("plain", plain_frame, None, 3.0), ("keyed", keyed_frame, KEY, 2.0)):
        frames = [frame_of(counter) for counter in range(1, FRAMES + 1)]
        mine, other = us_per_frame(ours(frames, key)), us_per_frame(theirs(frames, key))
        detail = f"{mine:.1f} us; bthome-ble {other:.1f} us"
        rows.append(
            at_least(
                f"decode a {name} BTHome frame, faster than bthome-ble", other / mine, target, detail=detail
            )
        )
    logging.disable(logging.NOTSET)
    return rows


if __name__ == "__main__":
    show(measure())
