"""Lists of the chunks of a system, from which gateways see what they have already.

The format is told in gateway/update/chunks.py, which reads it; tests hold the two together. A bundle is a
squashfs of blocks that are compressed one by one: what is unchanged has the same bytes at another place. So
a chunk ends where the content says so, wherever that is: after two bytes that are met once in 16,384 of
random ones, but never before 2 KiB nor after 64 KiB. Where it ends may change at any time; only then the
first update afterwards is fetched whole.
"""

import hashlib
import mmap
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ota import files

KIND: Final = "os"
"""That has lists: configurations are small, and packages are compressed whole."""
_LEAST_BYTES: Final = 1 << 20
"""Gateways ask for no list of less."""
_LIST_MAX_BYTES: Final = 2 << 20
"""Gateways take no larger one."""
_SUFFIX: Final = ".chunks"
_END: Final = re.compile(rb"[\x00-\x03]\x5a", re.DOTALL)
_CHUNK_MIN_BYTES: Final = 2 << 10
_CHUNK_MAX_BYTES: Final = 64 << 10
_HEAD: Final = struct.Struct(">8sI")
_MAGIC: Final = b"reedchk1"
_ENTRY: Final = struct.Struct(">I16s")


def is_list(name: str) -> bool:
    """Return whether this is how lists are called."""
    return name.endswith(_SUFFIX)


def list_file(file: Path) -> Path:
    """Return where the list of a target lies: beside it."""
    return file.with_name(f"{file.name}{_SUFFIX}")


def complete(targets: Path) -> None:
    """Write the lists that are missing in a repository. Raises OSError."""
    for file in sorted((targets / KIND).rglob("[!.]*")):
        if _has_list(file) and not list_file(file).exists() and (data := made(file)):
            files.write(list_file(file), data)


def fault(file: Path) -> str:
    """Return what is wrong with the list of a target, for a person; "" if nothing is. Raises OSError."""
    if not _has_list(file) or not (data := made(file)):
        return ""
    there = list_file(file)
    if not there.exists():
        return "has no list of its chunks; publish again, or gateways fetch it whole"
    is_right = there.stat().st_size == len(data) and there.read_bytes() == data
    return "" if is_right else f"has a wrong list of its chunks; remove {there} and publish again"


def made(file: Path) -> bytes:
    """Return the list of a file, which is not empty; nothing if it would be too large. Raises OSError."""
    with file.open("rb") as opened:
        data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    entries, begin = bytearray(), 0
    for end in _ends(data):
        entries += _ENTRY.pack(end - begin, hashlib.sha256(data[begin:end]).digest()[:16])
        begin = end
    whole = _HEAD.pack(_MAGIC, len(entries) // _ENTRY.size) + entries
    return whole if len(whole) <= _LIST_MAX_BYTES else b""


def _has_list(file: Path) -> bool:
    return file.is_file() and not is_list(file.name) and file.stat().st_size >= _LEAST_BYTES


def _ends(data: mmap.mmap) -> Iterator[int]:
    begin, whole_bytes = 0, len(data)
    for found in _END.finditer(data):
        while found.end() - begin > _CHUNK_MAX_BYTES:
            begin += _CHUNK_MAX_BYTES
            yield begin
        if found.end() - begin >= _CHUNK_MIN_BYTES:
            begin = found.end()
            yield begin
    while whole_bytes - begin > _CHUNK_MAX_BYTES:
        begin += _CHUNK_MAX_BYTES
        yield begin
    if begin < whole_bytes:
        yield whole_bytes
