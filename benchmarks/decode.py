"""Decoding a BLE frame: ours against bthome-ble, plain and keyed, in the same run.

python -m benchmarks.decode
"""

import logging
import time
from collections.abc import Callable, Sequence
from statistics import median

from bthome_ble.parser import BTHomeBluetoothDeviceData
from cryptography.hazmat.primitives.ciphers.aead import AESCCM
from habluetooth import BluetoothServiceInfoBleak

from gateway.domain.ports import Advert
from gateway.drivers.sensors import load

ADDRESS = "54:48:E6:8F:80:A5"
KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
OBJECTS = bytes.fromhex("0161 02CA09 2000")
FRAMES = 2000
ROUNDS = 7


def plain_frame(counter: int) -> bytes:
    """Return a BTHome v2 frame: packet id, battery, temperature, water."""
    return b"\x40\x00" + bytes([counter & 0xFF]) + OBJECTS


def keyed_frame(counter: int) -> bytes:
    """Return the same, encrypted."""
    count = counter.to_bytes(4, "little")
    nonce = bytes.fromhex(ADDRESS.replace(":", "")) + b"\xd2\xfc\x41" + count
    sealed = AESCCM(KEY, tag_length=4).encrypt(nonce, OBJECTS, None)
    return b"\x41" + sealed[:-4] + count + sealed[-4:]


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
        device=None,
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


def main() -> int:
    """Print one line for plain and one for keyed frames."""
    logging.disable()
    for name, frame_of, key in (("plain", plain_frame, None), ("keyed", keyed_frame, KEY)):
        frames = [frame_of(counter) for counter in range(1, FRAMES + 1)]
        mine, other = us_per_frame(ours(frames, key)), us_per_frame(theirs(frames, key))
        print(f"decode {name:6} ours {mine:6.1f} us   bthome-ble {other:6.1f} us   ratio {mine / other:.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
