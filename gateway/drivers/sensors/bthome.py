"""BTHome v2 over BLE, plain or encrypted (https://bthome.io/format, https://bthome.io/encryption).

    info byte | objects: id, value, id, value, …                        bit 0 of info clear
    info byte | the same, encrypted | counter, 4 bytes | MIC, 4 bytes   bit 0 of info set

Anybody can forge a plain frame; give the sensor a key to accept authentic ones only. This file verifies the
MIC. Whether a counter is a replay is judged by the core, which remembers it.

A frame that is cut off is refused, unless it says "wet" before the cut: better a false alarm than a
missed one.
"""

from dataclasses import dataclass, field

from gateway.domain.model import Reading
from gateway.domain.ports import Advert, Board, Emit
from gateway.drivers.adverts import address_bytes, check, follow, parse_key, percent
from gateway.drivers.ccm import MIC_BYTES, open_sealed, prepare
from gateway.drivers.sensors import Sensor
from gateway.errors import DecodeError

FORMAT = "bthome-v2"
UUID = 0xFCD2
SILENCE_S = 3600.0

_ENCRYPTED = 0x01
_HAS_ADDRESS = 0x02
_VERSION = 2
_COUNTER_BYTES = 4
_ADDRESS_BYTES = 6

# Object ids: what a water sensor can say. Everything else is stepped over by its length.
_PACKET_ID = 0x00
_MOISTURE = 0x20
_BATTERY_PERCENT = 0x01
_BATTERY_LOW = 0x15
_TAMPER = 0x2B
_VOLTS_PER_STEP = {0x0C: 0.001, 0x4A: 0.1}
_DEGC_PER_STEP = {0x02: 0.01, 0x45: 0.1, 0x57: 1.0, 0x58: 0.35}

# Text and raw data are led by their length; a command by its count of arguments, then comes an opcode.
_TEXT, _RAW, _COMMAND = 0x53, 0x54, 0x3B
_ARGUMENTS = 0x1F

_IDS_BY_BYTES = {
    1: "00 01 09 0f 10 11 15 16 17 18 19 1a 1b 1c 1d 1e 1f 20 21 22 23 24 25 26 27 28 29 2a 2b 2c 2d 2e 2f"
    " 3a 46 57 58 59 60 64 65",
    2: "02 03 06 07 08 0c 0d 0e 12 13 14 3c 3d 3f 40 41 43 44 45 47 48 49 4a 51 52 56 5a 5d 5e 5f 61 f0",
    3: "04 05 0a 0b 42 4b f2",
    4: "3e 4c 4d 4e 4f 50 55 5b 5c 62 63 f1",
}
_BYTES_OF = {object_id: size for size, ids in _IDS_BY_BYTES.items() for object_id in bytes.fromhex(ids)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Keys of `[sensor.<id>]` with kind = "bthome".

    Args:
        address: The sensor's Bluetooth address.
        key: Its encryption key, 32 hexadecimal digits, or "secret:NAME"; with a key, only authentic frames
            count.
    """

    address: str
    key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        check(self.address, self.key)


def claims(advert: Advert) -> bool:
    """Return True if the advertisement carries BTHome v2 service data."""
    return UUID in advert.service_data


def decode(advert: Advert, key: bytes | None = None) -> Reading:
    """Return what the frame says; `authentic` is False, and nothing else is said, if the MIC is wrong.

    Raises:
        DecodeError: Malformed, or encrypted and no key is given.
    """
    data = advert.service_data.get(UUID, b"")
    if not data:
        raise DecodeError("BTHome: no service data FCD2, or it is empty")
    info = data[0]
    if info >> 5 != _VERSION:
        raise DecodeError(f"BTHome: version {info >> 5}; only version 2 is known")
    start = 1 + _ADDRESS_BYTES * bool(info & _HAS_ADDRESS)
    if len(data) <= start:
        raise DecodeError("BTHome: no objects after the header")
    if info & _ENCRYPTED:
        return _decode_encrypted(advert, data, start, key)
    return _reading(data[start:], authentic=None, counter=None)


def _decode_encrypted(advert: Advert, data: bytes, start: int, key: bytes | None) -> Reading:
    if key is None:
        raise DecodeError("BTHome: encrypted; a key is needed")
    end = len(data) - MIC_BYTES
    objects_end = end - _COUNTER_BYTES
    if objects_end <= start:
        raise DecodeError(f"BTHome: {len(data)} bytes are too short for an encrypted frame")
    sender = data[start - 1 : 0 : -1] if data[0] & _HAS_ADDRESS else address_bytes(advert)
    counter = data[objects_end:end]
    nonce = sender + UUID.to_bytes(2, "little") + data[:1] + counter
    objects = open_sealed(key, nonce, data[start:objects_end] + data[end:])
    count = int.from_bytes(counter, "little")
    if objects is None:
        return Reading(FORMAT, authentic=False, counter=count)
    return _reading(objects, authentic=True, counter=count)


def _reading(objects: bytes, authentic: bool | None, counter: int | None) -> Reading:
    said, problem = _split(objects)
    wet = _any(said, _MOISTURE)
    if problem and not wet:
        raise DecodeError(problem)
    if authentic is None and _PACKET_ID in said:
        counter = said[_PACKET_ID][0][0]
    return Reading(
        FORMAT,
        wet=wet,
        authentic=authentic,
        counter=counter,
        battery_percent=percent(min(said[_BATTERY_PERCENT])[0]) if _BATTERY_PERCENT in said else None,
        battery_v=_lowest(said, _VOLTS_PER_STEP, signed=False),
        battery_low=_any(said, _BATTERY_LOW),
        temperature_degc=_lowest(said, _DEGC_PER_STEP, signed=True),
        tamper=_any(said, _TAMPER),
    )


def _any(said: dict[int, list[bytes]], object_id: int) -> bool | None:
    """One object of several that is set decides: a sensor with two probes is wet when either is."""
    return any(value != b"\0" for value in said[object_id]) if object_id in said else None


def _lowest(said: dict[int, list[bytes]], per_step: dict[int, float], *, signed: bool) -> float | None:
    values = [
        int.from_bytes(value, "little", signed=signed) * factor
        for object_id, factor in per_step.items()
        for value in said.get(object_id, ())
    ]
    return round(min(values), 3) if values else None


def _split(objects: bytes) -> tuple[dict[int, list[bytes]], str]:
    """Return the values of each id that is whole, and what is wrong with the rest.

    An unknown id ends the frame without being wrong: the format tells nobody how long it is.
    """
    said: dict[int, list[bytes]] = {}
    at = 0
    while at < len(objects) and (span := _value_span(objects, at)):
        start, end = span
        if end > len(objects):
            return said, f"BTHome: object {objects[at]:02X} is cut off"
        said.setdefault(objects[at], []).append(objects[start:end])
        at = end
    return said, ""


def _value_span(objects: bytes, at: int) -> tuple[int, int] | None:
    object_id = objects[at]
    if size := _BYTES_OF.get(object_id):
        return at + 1, at + 1 + size
    if object_id not in (_TEXT, _RAW, _COMMAND):
        return None
    start = at + 2
    length = objects[at + 1] if start <= len(objects) else 0
    return start, start + (1 + (length & _ARGUMENTS) if object_id == _COMMAND else length)


async def run(sensor_id: str, config: Config, board: Board, emit: Emit) -> None:
    """Emit each frame of the sensor until cancelled."""
    key = parse_key(config.key)
    if key is not None:
        await prepare()
    await follow(sensor_id, config.address, board, emit, lambda advert: _read(advert, key))


def _read(advert: Advert, key: bytes | None) -> Reading | None:
    return decode(advert, key) if claims(advert) else None


SENSOR = Sensor(
    config=Config,
    run=run,
    claims=claims,
    decode=decode,
    keyed=lambda config: bool(config.key),
    supervised=True,
    default_silence_s=SILENCE_S,
)
