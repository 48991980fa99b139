"""Xiaomi MiBeacon water leak sensors, plain or encrypted (versions 4 and 5).

    control, 2 | product, 2 | count, 1 | [address, 6] | [capability, 1 or 2] | objects
    objects: id, 2 | length, 1 | value, …      encrypted: ciphertext | count, 3 higher bytes | MIC, 4

Bits of control say which parts exist. The format is published to Xiaomi's partners only; the layout is as
seen in advertisements. The sensors speak when something happens and rarely in between.

A frame that is cut off is refused, unless it says "wet" before the cut: better a false alarm than a
missed one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gateway.domain.model import Reading
from gateway.domain.ports import Advert, Board, Emit
from gateway.drivers.adverts import address_bytes, check, follow, parse_key, percent
from gateway.drivers.ccm import MIC_BYTES, open_sealed, prepare
from gateway.drivers.sensors import Sensor
from gateway.errors import DecodeError

FORMAT = "mibeacon"
UUID = 0xFE95
SILENCE_S = 26 * 3600.0

_SJWS02LM = 0x6375
_PRODUCTS = {0x0863: "SJWS01LM", _SJWS02LM: "SJWS02LM", 0x3F0F: "RS1BB(MI)", 0x7712: "zhiee.flood.sj01"}

_ENCRYPTED, _HAS_ADDRESS, _HAS_CAPABILITY, _HAS_OBJECTS, _MESH = 0x08, 0x10, 0x20, 0x40, 0x80
_OLDEST_VERSION, _OLDEST_ENCRYPTED_VERSION = 2, 4
_HEADER_BYTES, _ADDRESS_BYTES, _COUNT_BYTES, _OBJECT_HEADER_BYTES = 5, 6, 3, 3
_HAS_IO_CAPABILITY = 0x20
_ASSOCIATED = b"\x11"

_WATER, _WATER_BELOW, _WATER_ABOVE, _WATER_EVENT = 0x1014, 0x4806, 0x487B, 0x4A68
_BATTERY_PERCENT = (0x100A, 0x4803, 0x4C03)
_BATTERY_LOW = 0x4A01
_BELOW, _ABOVE = "below", "above"
_EVENTS = {0: (_BELOW, True), 1: (_BELOW, False), 2: (_ABOVE, True), 3: (_ABOVE, False)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Keys of `[sensor.<id>]` with kind = "mibeacon".

    Args:
        address: The sensor's Bluetooth address.
        key: Its "bindkey", 32 hexadecimal digits, or "secret:NAME"; with a key, only authentic frames count.
    """

    address: str
    key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        check(self.address, self.key)


@dataclass(frozen=True, slots=True)
class _Frame:
    """`probes`: wet or dry, for each probe that the frame speaks of. Most products have one, below."""

    reading: Reading
    probes: dict[str, bool] = field(default_factory=dict)


def claims(advert: Advert) -> bool:
    """Return True if the advertisement carries MiBeacon service data."""
    return UUID in advert.service_data


def decode(advert: Advert, key: bytes | None = None) -> Reading:
    """Return what the frame says; `authentic` is False, and nothing else is said, if the MIC is wrong.

    Raises:
        DecodeError: Malformed, not a known water sensor, or encrypted and no key is given.
    """
    return _parse(advert, key).reading


def _parse(advert: Advert, key: bytes | None) -> _Frame:
    data = advert.service_data.get(UUID, b"")
    if len(data) < _HEADER_BYTES:
        raise DecodeError(f"MiBeacon: {len(data)} bytes of service data FE95; at least 5 are needed")
    version, product = data[1] >> 4, int.from_bytes(data[2:4], "little")
    if version < _OLDEST_VERSION or data[0] & _MESH:
        raise DecodeError(f"MiBeacon: version {version}{' mesh' * bool(data[0] & _MESH)} is not supported")
    if product not in _PRODUCTS:
        raise DecodeError(f"MiBeacon: product {product:04X} is not a known water leak sensor")
    start = _objects_start(advert, data)
    if not data[0] & _HAS_OBJECTS:
        return _Frame(Reading(FORMAT, counter=data[4]))
    if data[0] & _ENCRYPTED:
        return _parse_encrypted(advert, data, start, key)
    return _frame(data[start:], product, authentic=None, counter=data[4])


def _objects_start(advert: Advert, data: bytes) -> int:
    start = _HEADER_BYTES
    if data[0] & _HAS_ADDRESS:
        start += _ADDRESS_BYTES
        if data[_HEADER_BYTES:start] != address_bytes(advert)[::-1]:
            raise DecodeError("MiBeacon: the address in the frame is not the sender's")
    if data[0] & _HAS_CAPABILITY:
        start += 2 if data[start : start + 1] and data[start] & _HAS_IO_CAPABILITY else 1
    if len(data) < start:
        raise DecodeError("MiBeacon: the header is cut off")
    return start


def _parse_encrypted(advert: Advert, data: bytes, start: int, key: bytes | None) -> _Frame:
    version = data[1] >> 4
    if version < _OLDEST_ENCRYPTED_VERSION:
        raise DecodeError(f"MiBeacon: encryption of version {version} has no MIC and is not supported")
    if key is None:
        raise DecodeError("MiBeacon: encrypted; a key is needed")
    end = len(data) - MIC_BYTES
    objects_end = end - _COUNT_BYTES
    if objects_end <= start:
        raise DecodeError(f"MiBeacon: {len(data)} bytes are too short for an encrypted frame")
    nonce = address_bytes(advert)[::-1] + data[2:5] + data[objects_end:end]
    objects = open_sealed(key, nonce, data[start:objects_end] + data[end:], _ASSOCIATED)
    counter = int.from_bytes(data[4:5] + data[objects_end:end], "little")
    if objects is None:
        return _Frame(Reading(FORMAT, authentic=False, counter=counter))
    return _frame(objects, int.from_bytes(data[2:4], "little"), authentic=True, counter=counter)


def _frame(objects: bytes, product: int, *, authentic: bool | None, counter: int) -> _Frame:
    said, whole = _split(objects)
    probes = _probes(said, product)
    if not whole and not any(probes.values()):
        raise DecodeError("MiBeacon: an object is cut off")
    levels = [said[object_id][0] for object_id in _BATTERY_PERCENT if said.get(object_id)]
    reading = Reading(
        FORMAT,
        wet=any(probes.values()) if probes else None,
        authentic=authentic,
        counter=counter,
        battery_percent=percent(min(levels)) if levels else None,
        battery_low=said[_BATTERY_LOW][0] != 0 if said.get(_BATTERY_LOW) else None,
    )
    return _Frame(reading, probes)


def _probes(said: dict[int, bytes], product: int) -> dict[str, bool]:
    probes: dict[str, bool] = {}
    if product == _SJWS02LM:
        if len(event := said.get(_WATER_EVENT, b"")) == 1 and event[0] in _EVENTS:
            probes |= [_EVENTS[event[0]]]
        if len(above := said.get(_WATER_ABOVE, b"")) == 1:
            probes[_ABOVE] = above != b"\0"
    if len(below := said.get(_WATER_BELOW, b"")) == 1:
        probes[_BELOW] = below != b"\0"
    if water := said.get(_WATER):
        probes[_BELOW] = probes.get(_BELOW, False) or water[0] != 0
    return probes


def _split(objects: bytes) -> tuple[dict[int, bytes], bool]:
    """Return the whole objects by id, and whether nothing else is there."""
    said: dict[int, bytes] = {}
    at = 0
    while at + _OBJECT_HEADER_BYTES <= len(objects):
        start = at + _OBJECT_HEADER_BYTES
        end = start + objects[start - 1]
        if end > len(objects):
            break
        said[int.from_bytes(objects[at : at + 2], "little")] = objects[start:end]
        at = end
    return said, at == len(objects)


def _reader(key: bytes | None) -> Callable[[Advert], Reading | None]:
    """Return the reader of one sensor, which keeps the probes that a frame leaves out.

    "Dry above" must not hide that it is still wet below. A keyed frame whose counter is not new changes no
    probe: the core is going to refuse it.
    """
    probes: dict[str, bool] = {}
    newest = -1

    def read(advert: Advert) -> Reading | None:
        nonlocal newest
        if not claims(advert):
            return None
        frame = _parse(advert, key)
        reading = frame.reading
        if key is not None and not advert.service_data[UUID][0] & _HAS_OBJECTS:
            return None  # an idle beacon is never authentic, and says nothing
        if key is not None and (not reading.authentic or (reading.counter or 0) <= newest):
            return reading
        newest = reading.counter or 0
        probes.update(frame.probes)
        return replace(reading, wet=any(probes.values())) if frame.probes else reading

    return read


async def run(sensor_id: str, config: Config, board: Board, emit: Emit) -> None:
    """Emit each frame of the sensor until cancelled."""
    key = parse_key(config.key)
    if key is not None:
        await prepare()
    await follow(sensor_id, config.address, board, emit, _reader(key))


SENSOR = Sensor(
    config=Config,
    run=run,
    claims=claims,
    decode=decode,
    keyed=lambda config: bool(config.key),
    supervised=True,
    default_silence_s=SILENCE_S,
)
