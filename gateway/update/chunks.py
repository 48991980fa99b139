"""The list of a target's chunks: which stretches of it another file may have, too.

It lies beside the target on the server, as `NAME.chunks`. `reed-ota` writes it and decides where chunks end
(ota/chunks.py), so that one that is unchanged is found again wherever it has moved to. Nobody signs it: the
download is checked against what was signed, and a list that lies only costs a whole download.

    8 bytes      "reedchk1"
    4 bytes      number of chunks
    20 bytes     for each chunk, in order: its length (4 bytes; 1 to 65,536), and the first 16 bytes of its
                 SHA-256

Numbers begin with their highest byte. The lengths add up to that of the target.
"""

import hashlib
import struct
from typing import Final, NamedTuple

from gateway.domain.update.model import Kind
from gateway.update.trust.target import Target

LIST_MAX_BYTES: Final = 2 << 20
"""104,856 chunks: of usual length, these are 1.8 GB. Two such lists taken apart need 61 MiB of memory."""
_LEAST_BYTES: Final = 1 << 20
"""A smaller target comes whole: asking for its list and its parts takes as long."""
_MAGIC: Final = b"reedchk1"
_HEAD: Final = struct.Struct(">8sI")
_ENTRY: Final = struct.Struct(">I16s")
_CHUNK_MAX_BYTES: Final = 64 << 10


class Chunk(NamedTuple):
    """A stretch of a file: where it begins and ends, and the first half of its SHA-256."""

    begin_bytes: int
    end_bytes: int
    digest: bytes

    @property
    def length_bytes(self) -> int:
        """Of the stretch."""
        return self.end_bytes - self.begin_bytes

    def is_in(self, data: bytes) -> bool:
        """Return whether this is what it holds, and all of it."""
        return len(data) == self.length_bytes and hashlib.sha256(data).digest()[:16] == self.digest


def may_have_list(target: Target) -> bool:
    """Return whether it can have something in common with the former one: packages are compressed whole."""
    return target.kind == Kind.OS and target.length_bytes >= _LEAST_BYTES


def list_of(place: str) -> str:
    """Return where the list of a target is, or what it is called; here as on the server."""
    return f"{place}.chunks"


def parse(data: bytes, whole_bytes: int) -> list[Chunk]:
    """Return the chunks of a file of `whole_bytes`; none if this is no list of such a file."""
    if not _HEAD.size < len(data) <= LIST_MAX_BYTES or (len(data) - _HEAD.size) % _ENTRY.size:
        return []
    if _HEAD.unpack_from(data) != (_MAGIC, (len(data) - _HEAD.size) // _ENTRY.size):
        return []
    found, at_bytes = [], 0
    for length_bytes, digest in _ENTRY.iter_unpack(memoryview(data)[_HEAD.size :]):
        if not 0 < length_bytes <= min(_CHUNK_MAX_BYTES, whole_bytes - at_bytes):
            return []
        found.append(Chunk(at_bytes, at_bytes + length_bytes, digest))
        at_bytes += length_bytes
    return found if at_bytes == whole_bytes else []
