"""Frames of leak detectors, and strangers' advertisements: ours against TheengsDecoder, in the same run.

python -m benchmarks.theengs

TheengsDecoder knows no leak detector: it looks through all it knows and returns nothing, which costs as much
as finding something. Frames that it does decode (they carry no water) stand in their own row, for comparison
with what finding costs. Its input is prepared outside the measured time; ours is the Advert.
"""

import json
import time
from collections.abc import Callable, Sequence
from statistics import median

from TheengsDecoder import decodeBLE

from benchmarks.frames import ADDRESS, KEY, keyed_frame, plain_frame
from benchmarks.report import Row, at_least, show
from gateway.domain.ports import Advert
from gateway.drivers.sensors import kinds, load
from gateway.sim.radio import Sent, Status, mibeacon, mocreo, switchbot

ROUNDS, CALLS = 7, 200
SENDER = bytes.fromhex(ADDRESS.replace(":", ""))
STATUS = Status(wet=True, battery_percent=97, temperature_degc=21.5, counter=9)

FRAMES: dict[str, tuple[Sent, bytes | None]] = {
    "BTHome": (Sent({0xFCD2: plain_frame(9)}, {}), None),
    "BTHome, keyed": (Sent({0xFCD2: keyed_frame(9)}, {}), KEY),
    "SwitchBot": (switchbot(SENDER, STATUS), None),
    "MOCREO": (mocreo(STATUS), None),
    "MiBeacon, keyed": (mibeacon(SENDER, KEY, STATUS, "RS1BB"), KEY),
}
STRANGERS = {
    "a phone": Sent({}, {0x004C: bytes.fromhex("10055b1c2fd5a1")}),
    "a battery service": Sent({0x180F: b"\x50"}, {}),
}


def theirs(sent: Sent) -> Callable[[], object]:
    """Return a call of TheengsDecoder as Theengs Gateway makes it."""
    told: dict[str, object] = {"id": ADDRESS, "rssi": -60} | ({"name": sent.name} if sent.name else {})
    for uuid, data in sent.service_data.items():
        told |= {"servicedatauuid": f"0x{uuid:04x}", "servicedata": data.hex()}
    for company, data in sent.manufacturer_data.items():
        told |= {"manufacturerdata": (company.to_bytes(2, "little") + data).hex()}
    text = json.dumps(told)
    return lambda: decodeBLE(text)


def ours(sent: Sent, key: bytes | None) -> Callable[[], object]:
    """Return a call of the decoder that claims the frame."""
    advert = Advert(ADDRESS, sent.service_data, sent.manufacturer_data, sent.name)
    for kind in kinds():
        sensor = load(kind)
        if sensor.claims and sensor.decode and sensor.claims(advert):
            decode = sensor.decode
            return lambda: decode(advert, key)
    raise AssertionError("every frame here is known")


def unclaimed(sent: Sent) -> Callable[[], object]:
    """Return a call that asks every kind whether a stranger's advertisement is its own."""
    advert = Advert(ADDRESS, sent.service_data, sent.manufacturer_data, sent.name)
    claims = [claim for kind in kinds() if (claim := load(kind).claims)]
    return lambda: [claim(advert) for claim in claims]


def us_per_call(call: Callable[[], object], calls: int = CALLS) -> float:
    """Return the median over some rounds, microseconds."""
    call()
    durations_s = []
    for _ in range(ROUNDS):
        begin_s = time.perf_counter()
        for _ in range(calls):
            call()
        durations_s.append(time.perf_counter() - begin_s)
    return median(durations_s) / calls * 1e6


def _worst(ratios: Sequence[tuple[float, str]]) -> tuple[float, str]:
    return min(ratios)


def measure() -> list[Row]:
    """Return how many times faster ours is, by the worst of the frames."""
    known, strange = [], []
    for name, (sent, key) in FRAMES.items():
        their_us, our_us = us_per_call(theirs(sent)), us_per_call(ours(sent, key), 50 * CALLS)
        finds = "decodes it" if theirs(sent)() else "knows it not"
        known.append(
            (their_us / our_us, f"{name}: {our_us:.1f} us; TheengsDecoder {their_us:.0f} us, {finds}")
        )
    for name, sent in STRANGERS.items():
        their_us, our_us = us_per_call(theirs(sent)), us_per_call(unclaimed(sent), 50 * CALLS)
        finds = "decodes it" if theirs(sent)() else "knows it not"
        detail = f"{name}: {our_us:.2f} us; TheengsDecoder {their_us:.0f} us, {finds}"
        strange.append((their_us / our_us, detail))
    ratio, detail = _worst(known)
    stranger_ratio, stranger_detail = _worst(strange)
    return [
        at_least("decode a leak frame, faster than TheengsDecoder", ratio, 20.0, detail=detail),
        at_least("an unknown advert, cheaper than theirs", stranger_ratio, 100.0, detail=stranger_detail),
    ]


if __name__ == "__main__":
    show(measure())
