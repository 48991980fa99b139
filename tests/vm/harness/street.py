"""BTHome leak sensors around the virtual Pi, as what they send: AD structures in hex."""

from gateway.domain.ports import Advert
from tests.fakes.frames import KEY, bthome, bthome_keyed, damaged

BLUETOOTH_IS_ON = "timeout 60 sh -c 'until bluetoothctl show | grep -q Powered:.yes; do sleep 0.2; done'"

_UUID = 0xFCD2
_FLAGS = bytes.fromhex("020106")
_SERVICE_DATA = 0x16


def address(number: int) -> str:
    """Return the address of one of 256 sensors."""
    return f"54:48:E6:8F:80:{number:02X}"


def plain(number: int, packet_id: int, *, wet: bool) -> dict[str, str]:
    """Return address and data of an open frame."""
    return _sent(bthome(_objects(packet_id, wet=wet), address=address(number)))


def sealed(number: int, counter: int, *, wet: bool, forged: bool = False) -> dict[str, str]:
    """Return address and data of an encrypted frame; a forged one has a wrong signature."""
    frame = bthome_keyed(_objects(counter, wet=wet)[2:], counter, address=address(number))
    return _sent(damaged(frame, _UUID) if forged else frame)


def sensor(number: int, *, keyed: bool = False, **keys: object) -> dict[str, object]:
    """Return its keys in the configuration."""
    key = {"key": KEY.hex()} if keyed else {}
    return {"kind": "bthome", "address": address(number), **key, **keys}


def _objects(packet_id: int, *, wet: bool) -> bytes:
    battery_percent, temperature = b"\x01\x61", b"\x45" + (200 + packet_id % 50).to_bytes(2, "little")
    return bytes([0, packet_id & 0xFF]) + battery_percent + b"\x20" + bytes([wet]) + temperature


def _sent(advert: Advert) -> dict[str, str]:
    data = _UUID.to_bytes(2, "little") + advert.service_data[_UUID]
    return {
        "address": advert.address,
        "data": (_FLAGS + bytes([len(data) + 1, _SERVICE_DATA]) + data).hex(),
    }
