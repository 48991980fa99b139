"""The bytes that BLE leak detectors put on the air.

Sources: bthome.io/format and /encryption; MiBeacon as Xiaomi's flood sensors send it; the SwitchBot water
leak detector's manufacturer data; MOCREO SW2. Written apart from the gateway's decoders on purpose: what
both agree on, two readings of the documents agree on.
"""

from struct import pack
from typing import NamedTuple

BTHOME_UUID = 0xFCD2
XIAOMI_UUID = 0xFE95
SWITCHBOT_UUID = 0xFD3D
SWITCHBOT_COMPANY = 0x0969
MOCREO_COMPANY = 0x8201
"""Not an assigned number: the second byte is the product, SW2."""

MIC_BYTES = 4

PRODUCTS = {"SJWS01LM": 0x0863, "SJWS02LM": 0x6375, "RS1BB": 0x3F0F, "zhiee": 0x7712}


class Sent(NamedTuple):
    """The payload of one advertisement."""

    service_data: dict[int, bytes]
    manufacturer_data: dict[int, bytes]
    name: str = ""


class Status(NamedTuple):
    """What a sensor has to say; `counter` grows by one with each new frame."""

    wet: bool
    battery_percent: int
    temperature_degc: float
    counter: int


def bthome(address: bytes, key: bytes | None, status: Status) -> Sent:
    """Encode BTHome v2; a keyed sensor's counter protects it, another one's packet id only counts."""
    info = b"\x41" if key else b"\x40"
    objects = pack(
        "<BBBhBB", 1, status.battery_percent, 2, round(status.temperature_degc * 100), 0x20, status.wet
    )
    if key is None:
        return Sent({BTHOME_UUID: info + bytes((0, status.counter & 0xFF)) + objects}, {})
    counter = pack("<I", status.counter & 0xFFFFFFFF)
    nonce = address + b"\xd2\xfc" + info + counter
    sealed = _seal(key, nonce, objects, None)
    return Sent({BTHOME_UUID: info + sealed[:-MIC_BYTES] + counter + sealed[-MIC_BYTES:]}, {})


def mibeacon(address: bytes, key: bytes | None, status: Status, model: str) -> Sent:
    """Encode MiBeacon version 5: one object in each frame, every fourth one tells the battery."""
    old = model == "SJWS01LM"
    if status.counter % 4 == 3:  # noqa: PLR2004  # the fourth
        payload = pack("<HBB", 0x100A if old else 0x4803, 1, status.battery_percent)
    else:
        payload = pack("<HBB", 0x1014 if old else 0x4806, 1, status.wet)
    # Version 5, standard authentication, registered, holds an object and the address.
    control = 0x5950 | (0x08 if key else 0)
    frame_count, extended = status.counter & 0xFF, pack("<I", status.counter >> 8 & 0xFFFFFF)[:3]
    header = pack("<HHB", control, PRODUCTS[model], frame_count)
    head = header + address[::-1]
    if key is None:
        return Sent({XIAOMI_UUID: head + payload}, {})
    sealed = _seal(key, address[::-1] + header[2:5] + extended, payload, b"\x11")
    return Sent({XIAOMI_UUID: head + sealed[:-MIC_BYTES] + extended + sealed[-MIC_BYTES:]}, {})


def switchbot(address: bytes, status: Status) -> Sent:
    """Encode a SwitchBot water leak detector: address, sequence number, battery, flags, then unknown."""
    flags = bytes((status.counter & 0xFF, status.battery_percent & 0x7F, status.wet))
    service = b"&\x00" + bytes((status.battery_percent & 0x7F,))
    return Sent({SWITCHBOT_UUID: service}, {SWITCHBOT_COMPANY: address + flags + bytes(10)})


def mocreo(status: Status) -> Sent:
    """Encode a MOCREO SW2; it has neither counter nor packet id."""
    data = bytearray(16)
    data[0:2] = b"\x15\x80"
    data[2] = 0x80 | status.battery_percent
    data[8] = status.wet
    return Sent({}, {MOCREO_COMPANY: bytes(data)}, "MOCREO")


def prepare() -> None:
    """Do now what the first sealed frame would else have to wait for."""
    _seal(bytes(16), bytes(13), b"", None)


def _seal(key: bytes, nonce: bytes, plain: bytes, associated: bytes | None) -> bytes:
    # Imported here: most buildings have no keyed sensor, and it costs 10 MiB.
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM  # noqa: PLC0415

    return AESCCM(key, tag_length=MIC_BYTES).encrypt(nonce, plain, associated)
