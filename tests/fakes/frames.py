"""Frames as sensors of each format send them, with any content; the crypto is the cryptography package's."""

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

from gateway.domain.ports import Advert

ADDRESS = "54:48:E6:8F:80:A5"
KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
_SENDER = bytes.fromhex(ADDRESS.replace(":", ""))


def bthome(objects: bytes, info: int = 0x40, address: str = ADDRESS) -> Advert:
    """A plain BTHome v2 frame."""
    return Advert(address, service_data={0xFCD2: bytes([info]) + objects})


def bthome_keyed(
    objects: bytes, counter: int, key: bytes = KEY, info: int = 0x41, address: str = ADDRESS
) -> Advert:
    """An encrypted BTHome v2 frame."""
    count = counter.to_bytes(4, "little")
    nonce = bytes.fromhex(address.replace(":", "")) + b"\xd2\xfc" + bytes([info]) + count
    sealed = AESCCM(key, tag_length=4).encrypt(nonce, objects, None)
    return bthome(sealed[:-4] + count + sealed[-4:], info, address)


def mibeacon(product: int, objects: bytes, count: int = 1, control: int = 0x5950) -> Advert:
    """A plain MiBeacon version 5 frame with the sender's address."""
    header = control.to_bytes(2, "little") + product.to_bytes(2, "little") + bytes([count & 0xFF])
    return Advert(ADDRESS, service_data={0xFE95: header + _SENDER[::-1] + objects})


def mibeacon_keyed(product: int, objects: bytes, counter: int, key: bytes = KEY) -> Advert:
    """An encrypted MiBeacon version 5 frame."""
    control = 0x5958
    count, more = counter & 0xFF, (counter >> 8).to_bytes(3, "little")
    nonce = _SENDER[::-1] + product.to_bytes(2, "little") + bytes([count]) + more
    sealed = AESCCM(key, tag_length=4).encrypt(nonce, objects, b"\x11")
    return mibeacon(product, sealed[:-4] + more + sealed[-4:], count, control)


def mibeacon_object(object_id: int, value: bytes) -> bytes:
    """One object of a MiBeacon frame."""
    return object_id.to_bytes(2, "little") + bytes([len(value)]) + value


def damaged(advert: Advert, uuid: int) -> Advert:
    """The same frame with its last bit flipped."""
    data = advert.service_data[uuid]
    return Advert(advert.address, service_data={uuid: data[:-1] + bytes([data[-1] ^ 1])})
