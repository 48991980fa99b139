"""BTHome v2 frames of a leak sensor, plain and encrypted (bthome.io/format, bthome.io/encryption)."""

from cryptography.hazmat.primitives.ciphers.aead import AESCCM

ADDRESS = "54:48:E6:8F:80:A5"
KEY = bytes.fromhex("231d39c1d7cc1ab1aee224cd096db932")
OBJECTS = bytes.fromhex("0161 02CA09 2000")


def plain_frame(counter: int) -> bytes:
    """Return a BTHome v2 frame: packet id, battery, temperature, water."""
    return b"\x40\x00" + bytes([counter & 0xFF]) + OBJECTS


def keyed_frame(counter: int) -> bytes:
    """Return the same, encrypted."""
    count = counter.to_bytes(4, "little")
    nonce = bytes.fromhex(ADDRESS.replace(":", "")) + b"\xd2\xfc\x41" + count
    sealed = AESCCM(KEY, tag_length=4).encrypt(nonce, OBJECTS, None)
    return b"\x41" + sealed[:-4] + count + sealed[-4:]
