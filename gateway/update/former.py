"""The last system that was fetched: the next one has most of it, too.

It stays where it was, under its own name, with its list of chunks beside it; a power cut cannot part them.
Nothing of it is believed: each chunk is compared before it is used.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gateway.errors import StoreError
from gateway.update import chunks, keep
from gateway.update.chunks import Chunk
from gateway.update.trust.plain import open_plain


class Former:
    """What a former file has.

    Args:
        file: Open for reading.
        places: Where its chunks are, by digest, as its list says.
    """

    def __init__(self, file: BinaryIO, places: Mapping[bytes, int]) -> None:
        self._file = file
        self._places = places

    def read(self, chunk: Chunk) -> bytes | None:
        """Return this chunk, compared; None if it is not here, or here no longer."""
        at_bytes = self._places.get(chunk.digest)
        if at_bytes is None:
            return None
        try:
            data = os.pread(self._file.fileno(), chunk.length_bytes, at_bytes)
        except OSError:  # a card that wears out
            return None
        return data if chunk.is_in(data) else None

    def has(self, chunk: Chunk) -> bool:
        """Return whether `read` would give it."""
        return self.read(chunk) is not None


@contextmanager
def opened(folder: Path, besides: str) -> Iterator[Former | None]:
    """Give what there is in place of a target that is to be fetched; None if there is nothing."""
    path = find(folder, besides)
    try:
        file = open_plain(path) if path is not None else None
    except OSError:
        file = None
    if path is None or file is None:
        yield None
        return
    with file:
        found = chunks.parse(kept_list(path), os.fstat(file.fileno()).st_size)
        yield Former(file, {chunk.digest: chunk.begin_bytes for chunk in found})


def find(folder: Path, besides: str = "") -> Path | None:
    """Return the newest file that is whole and has a list, not counting `besides`. Raises OSError."""
    found = [path for path in _pairs(folder) if path.name != besides]
    return max(found, key=lambda path: path.lstat().st_mtime, default=None)


def forget(folder: Path, besides: str = "") -> bool:
    """Remove all such files but `besides`; return whether there were any. Raises OSError."""
    found = [path for path in _pairs(folder) if path.name != besides]
    for path in found:
        path.unlink(missing_ok=True)
        path.with_name(chunks.list_of(path.name)).unlink(missing_ok=True)
    return bool(found)


def kept_list(path: Path) -> bytes:
    """Return the list that is kept beside a file; nothing if there is none, or it cannot be read."""
    try:
        return keep.read(path.with_name(chunks.list_of(path.name)), chunks.LIST_MAX_BYTES)
    except StoreError:
        return b""


def _pairs(folder: Path) -> list[Path]:
    there = {path.name for path in folder.iterdir() if stat.S_ISREG(path.lstat().st_mode)}
    return [folder / name for name in there if chunks.list_of(name) in there]
