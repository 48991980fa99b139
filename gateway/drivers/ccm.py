"""AES-CCM with a 4-byte MIC, as BLE beacons use it (RFC 3610, M = 4).

The cryptography package is imported when a keyed sensor starts: a site without keys never pays for it.
"""

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM

MIC_BYTES = 4


async def prepare() -> None:
    """Import what `open_sealed` needs, in a thread: the first frame would have to stop the loop for it."""
    if not _aesccm.cache_info().currsize:
        await asyncio.to_thread(_aesccm)


def open_sealed(key: bytes, nonce: bytes, sealed: bytes, associated: bytes | None = None) -> bytes | None:
    """Decrypt; return None if the MIC is wrong, so the frame is forged, damaged or made with another key.

    Args:
        key: 16 bytes.
        nonce: 7 to 13 bytes.
        sealed: Ciphertext and then the MIC.
        associated: Authenticated but not encrypted.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415  loaded with the cipher

    try:
        return _cipher(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        return None


# Setting up a key costs as much as a frame; a gateway has tens of sensors.
@lru_cache(maxsize=256)
def _cipher(key: bytes) -> "AESCCM":
    return _aesccm()(key, tag_length=MIC_BYTES)


@lru_cache
def _aesccm() -> "type[AESCCM]":
    from cryptography.hazmat.primitives.ciphers.aead import AESCCM  # noqa: PLC0415  costs 7 MiB

    return AESCCM
