"""The list of chunks: what `reed-ota` writes is what a gateway reads, and nothing else is taken for one."""

import hashlib
import os
import random
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.update.chunks import LIST_MAX_BYTES, parse
from ota import chunks as lists

_END = b"\x01\x5a"
_PARTS = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=50).map(lambda data: data + _END),
        st.integers(0, 200_000).map(bytes),
        st.integers(1, 9).map(lambda seed: random.Random(seed).randbytes(70_000)),  # noqa: S311
    ),
    max_size=12,
)


def listed(data: bytes) -> bytes:
    with tempfile.NamedTemporaryFile(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as file:
        file.write(data)
        file.flush()
        return lists.made(Path(file.name))


@given(_PARTS)
def test_a_list_describes_every_byte_of_the_file(parts: list[bytes]) -> None:
    data = b"".join(parts) + b"x"
    found = parse(listed(data), len(data))
    assert b"".join(data[chunk.begin_bytes : chunk.end_bytes] for chunk in found) == data
    assert all(chunk.is_in(data[chunk.begin_bytes : chunk.end_bytes]) for chunk in found)
    assert all(2_048 <= chunk.length_bytes <= 65_536 for chunk in found[:-1])


@given(_PARTS, st.binary(max_size=300))
def test_chunks_behind_an_insertion_are_the_same_again(parts: list[bytes], inserted: bytes) -> None:
    tail = random.Random(1).randbytes(600_000)  # noqa: S311
    before = b"".join(parts)
    ends = [
        {len(data) - chunk.end_bytes for chunk in parse(listed(data), len(data))}
        for data in (before + tail, inserted + before + tail)
    ]
    assert {end for end in ends[0] if end < 400_000} == {end for end in ends[1] if end < 400_000}


@given(st.binary(max_size=400), st.integers(0, 1 << 40))
def test_what_is_no_list_is_taken_for_none(data: bytes, whole_bytes: int) -> None:
    assert parse(data, whole_bytes) == []
    head = b"reedchk1" + struct.pack(">I", len(data) // 20)
    found = parse(head + data, whole_bytes)
    assert sum(chunk.length_bytes for chunk in found) in (0, whole_bytes)


@given(st.data())
def test_a_list_with_a_byte_changed_still_describes_a_file_of_this_length_or_none(
    data: st.DataObject,
) -> None:
    content = random.Random(2).randbytes(100_000)  # noqa: S311
    changed = bytearray(listed(content))
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    found = parse(bytes(changed), len(content))
    assert not found or found[-1].end_bytes == len(content)
    assert all(0 < chunk.length_bytes <= 65_536 for chunk in found)


@pytest.mark.parametrize("more", [-1, 1, 20, 1 << 40])
def test_a_list_of_a_file_of_another_length_is_none(more: int) -> None:
    content = bytes(5_000)
    assert len(parse(listed(content), 5_000)) == 1
    assert parse(listed(content), 5_000 + more) == []


def test_a_list_that_is_too_large_is_neither_read_nor_written(tmp_path: Path) -> None:
    entries = (LIST_MAX_BYTES - 12) // 20
    chunk = struct.pack(">I16s", 1, hashlib.sha256(b"x").digest()[:16])
    head = struct.pack(">8sI", b"reedchk1", entries)
    assert len(parse(head + chunk * entries, entries)) == entries
    head = struct.pack(">8sI", b"reedchk1", entries + 1)
    assert parse(head + chunk * (entries + 1), entries + 1) == []
    file = tmp_path / "many"
    with file.open("wb") as stream:
        piece = (bytes(2_046) + b"\x01\x5a") * 512
        for _ in range(entries // 512 + 1):
            stream.write(piece)
    assert lists.made(file) == b""
    os.truncate(file, 2_048 * entries)
    assert len(lists.made(file)) == 12 + 20 * entries
