"""Reads FAT file systems of a raw disk image as a boot ROM does: no cache, no repair, no writing."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
_ENTRY = 32
_DELETED, _LAST = 0xE5, 0x00
_VOLUME, _FOLDER, _LONG = 0x08, 0x10, 0x0F
_LOWER_NAME, _LOWER_EXTENSION = 0x08, 0x10
_EXTENDED = (0x05, 0x0F, 0x85)


class FatError(Exception):
    """This is no FAT file system, or the file is not to be had."""


@dataclass(frozen=True, slots=True)
class Partition:
    """An entry of the partition table, numbered as Linux does; sectors of 512 bytes."""

    number: int
    kind: int
    start: int
    sectors: int


def partitions(disk: Path) -> list[Partition]:
    """Return what the MBR names, and the chain of an extended partition. Empty without a table."""
    with disk.open("rb") as image:
        found = [p for p in _entries(image.read(SECTOR), 0, 1) if p.sectors]
        extended = next((p for p in found if p.kind in _EXTENDED), None)
        number, start = 5, extended.start if extended else 0
        while extended and start:
            image.seek(start * SECTOR)
            logical, link = _entries(image.read(SECTOR), 0, number)[:2] or (None, None)
            if logical is None or link is None or not logical.sectors:
                break
            found.append(Partition(number, logical.kind, start + logical.start, logical.sectors))
            number, start = number + 1, extended.start + link.start if link.sectors else 0
    return found


def _entries(sector: bytes, offset: int, number: int) -> list[Partition]:
    if sector[510:512] != b"\x55\xaa":
        return []
    rows = (struct.unpack_from("<B3sB3sII", sector, 446 + 16 * row) for row in range(4))
    return [
        Partition(number + row, kind, offset + start, size)
        for row, (_, _, kind, _, start, size) in enumerate(rows)
    ]


class Fat:
    """A FAT12, FAT16 or FAT32 file system in an image.

    Args:
        disk: The raw image.
        start: First sector of the partition.

    Raises:
        FatError: It does not begin as one.
    """

    def __init__(self, disk: Path, start: int = 0) -> None:
        self._disk = disk
        self._start = start * SECTOR
        head = self._at(0, SECTOR)
        if len(head) < SECTOR or head[510:512] != b"\x55\xaa":
            raise FatError("no boot sector")
        (sector, self._per_cluster, reserved, fats, roots, small, _, per_fat) = struct.unpack_from(
            "<HBHBHHBH", head, 11
        )
        total = small or struct.unpack_from("<I", head, 32)[0]
        per_fat = per_fat or struct.unpack_from("<I", head, 36)[0]
        if sector != SECTOR or not self._per_cluster or not fats or not per_fat or not reserved:
            raise FatError("no FAT file system")
        self._table = reserved * SECTOR
        self._roots = (reserved + fats * per_fat) * SECTOR, roots * _ENTRY
        self._data = self._roots[0] + roots * _ENTRY
        clusters = (total - self._data // SECTOR) // self._per_cluster
        self._bits = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
        self._clusters = clusters
        self._root_cluster = struct.unpack_from("<I", head, 44)[0] if self._bits == 32 else 0

    def read(self, path: str) -> bytes:
        """Return a file whole. Raises FatError."""
        folder = self._root()
        *above, name = path.strip("/").split("/")
        for step in above:
            kind, cluster, _ = self._find(folder, step)
            if not kind & _FOLDER:
                raise FatError(f"{step} is no folder")
            folder = self._chain(cluster)
        _, cluster, size = self._find(folder, name)
        content = self._chain(cluster) if size else b""
        if len(content) < size:
            raise FatError(f"the chain of {path} ends early")
        return content[:size]

    def holds(self, path: str) -> bool:
        """Return whether a file can be read."""
        try:
            self.read(path)
        except FatError:
            return False
        return True

    def names(self) -> list[str]:
        """Return what lies in the root folder."""
        return [name for name, *_ in self._listed(self._root())]

    def _at(self, offset: int, length: int) -> bytes:
        with self._disk.open("rb") as image:
            image.seek(self._start + offset)
            return image.read(length)

    def _root(self) -> bytes:
        return self._chain(self._root_cluster) if self._root_cluster else self._at(*self._roots)

    def _find(self, folder: bytes, name: str) -> tuple[int, int, int]:
        for found, kind, cluster, size in self._listed(folder):
            if found.lower() == name.lower():
                return kind, cluster, size
        raise FatError(f"there is no {name}")

    def _listed(self, folder: bytes) -> Iterator[tuple[str, int, int, int]]:
        long: dict[int, str] = {}
        for offset in range(0, len(folder), _ENTRY):
            entry = folder[offset : offset + _ENTRY]
            if len(entry) < _ENTRY or entry[0] == _LAST:
                return
            if entry[0] == _DELETED:
                long.clear()
            elif entry[11] == _LONG:
                part = entry[1:11] + entry[14:26] + entry[28:32]
                long[entry[0] & 0x1F] = part.decode("utf-16-le", "replace").split("\0")[0]
            else:
                if not entry[11] & _VOLUME:
                    name = "".join(long[i] for i in sorted(long)) or _short(entry)
                    high, low, size = struct.unpack_from("<H4xHI", entry, 20)
                    yield name, entry[11], (high << 16 if self._bits == 32 else 0) | low, size
                long.clear()

    def _chain(self, cluster: int) -> bytes:
        parts, seen = [], set[int]()
        while 2 <= cluster < self._clusters + 2 and cluster not in seen:
            seen.add(cluster)
            size = self._per_cluster * SECTOR
            parts.append(self._at(self._data + (cluster - 2) * size, size))
            cluster = self._next(cluster)
        return b"".join(parts)

    def _next(self, cluster: int) -> int:
        if self._bits == 32:
            return int(struct.unpack("<I", self._at(self._table + cluster * 4, 4))[0]) & 0x0FFF_FFFF
        if self._bits == 16:
            return int(struct.unpack("<H", self._at(self._table + cluster * 2, 2))[0])
        pair = int(struct.unpack("<H", self._at(self._table + cluster * 3 // 2, 2))[0])
        return pair >> 4 if cluster % 2 else pair & 0xFFF


def _short(entry: bytes) -> str:
    name, extension = entry[:8].decode("cp437").rstrip(), entry[8:11].decode("cp437").rstrip()
    name = name.lower() if entry[12] & _LOWER_NAME else name
    extension = extension.lower() if entry[12] & _LOWER_EXTENSION else extension
    return f"{name}.{extension}" if extension else name
