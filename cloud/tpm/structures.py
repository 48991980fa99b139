"""Reading what a TPM writes: big-endian numbers and buffers with their size before them (part 2, 10.4)."""

from enum import IntEnum
from typing import Final, Self

from cryptography.hazmat.primitives import hashes

from cloud.errors import RefusedError

STRUCTURE_MAX_BYTES: Final = 4096
"""More than any structure of a TPM that comes here: a public area with an RSA-4096 key has some 600 bytes."""


class Algorithm(IntEnum):
    """TPM_ALG_ID, as far as it is used here (part 2, 6.3)."""

    RSA = 0x0001
    AES = 0x0006
    SHA256 = 0x000B
    SHA384 = 0x000C
    SHA512 = 0x000D
    NULL = 0x0010
    RSASSA = 0x0014
    RSAES = 0x0015
    RSAPSS = 0x0016
    ECDSA = 0x0018
    ECC = 0x0023
    CFB = 0x0043


_HASHES: Final[dict[int, hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    Algorithm.SHA256: hashes.SHA256(),
    Algorithm.SHA384: hashes.SHA384(),
    Algorithm.SHA512: hashes.SHA512(),
}


def malformed(what: str, problem: str) -> RefusedError:
    """Return the refusal of bytes that are not what they should be."""
    return RefusedError("attestation-malformed", f"{what}: {problem}", 400)


class Reader:
    """Takes one structure apart from its beginning; whatever is missing or too much is refused.

    Args:
        data: The structure's bytes.
        what: Its name for a person, e.g. "public area of the attestation key".
    """

    def __init__(self, data: bytes, what: str) -> None:
        if len(data) > STRUCTURE_MAX_BYTES:
            raise malformed(what, f"longer than {STRUCTURE_MAX_BYTES} bytes")
        self._data = data
        self._at = 0
        self.what = what

    def take(self, size_bytes: int) -> bytes:
        """Return the next bytes. Raises RefusedError if they are not there."""
        end = self._at + size_bytes
        if end > len(self._data):
            raise malformed(self.what, "cut off")
        part = self._data[self._at : end]
        self._at = end
        return part

    def u16(self) -> int:
        """Return a UINT16."""
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        """Return a UINT32."""
        return int.from_bytes(self.take(4), "big")

    def sized(self) -> bytes:
        """Return the contents of a TPM2B."""
        return self.take(self.u16())

    def inner(self) -> Self:
        """Return a reader of a TPM2B's contents."""
        return type(self)(self.sized(), self.what)

    def hash_algorithm(self) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
        """Return the hash that a TPMI_ALG_HASH names; older ones than SHA-2 are refused."""
        number = self.u16()
        algorithm = _HASHES.get(number)
        if algorithm is None:
            raise malformed(self.what, f"hash algorithm {number:#06x} is not SHA-256, SHA-384 or SHA-512")
        return algorithm

    def end(self) -> None:
        """Refuse what is left over."""
        if self._at != len(self._data):
            raise malformed(self.what, f"{len(self._data) - self._at} bytes too many")


def sized(data: bytes) -> bytes:
    """Return the TPM2B of these bytes."""
    return len(data).to_bytes(2, "big") + data
