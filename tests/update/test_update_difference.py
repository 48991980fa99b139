"""An update fetches what differs from the former system, and comes whole whenever that goes wrong."""

import errno
import logging
import os
import struct
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update import former, offline, room
from gateway.update.chunks import Chunk
from gateway.update.difference import GAP_BYTES, runs
from gateway.update.fetch import Stopped
from tests.update.differing import BLOCK_BYTES, LITTLE, NEW, NEXT, OLD, OTHER, Rig, names


@pytest.fixture
def rig(folder: Path) -> Rig:
    return Rig(folder)


@pytest.fixture
def updated(rig: Rig) -> Rig:
    """A gateway that has fetched a system before."""
    rig.fetch(rig.release(OLD))
    return rig


# --- what is fetched --------------------------------------------------------------------------------------


def test_a_system_with_one_block_changed_costs_a_twentieth_at_most(
    updated: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    target = updated.release(NEW)
    with caplog.at_level(logging.INFO):
        assert updated.come_bytes(target) < LITTLE * len(NEW)
    assert "fetched 0.1 MB of 8.4 MB; the rest was here" in caplog.text
    assert updated.percents == sorted(set(updated.percents))
    assert updated.percents[-1] == 100


def test_the_first_system_comes_whole_and_serves_the_next_one(rig: Rig) -> None:
    target = rig.release(OLD)
    assert rig.come_bytes(target) >= len(OLD)
    assert rig.names() == names(target)


def test_a_system_serves_the_next_and_that_the_one_after(updated: Rig) -> None:
    for data in (NEW, NEXT, NEW):
        target = updated.release(data)
        assert updated.come_bytes(target) < LITTLE * len(data)
        assert updated.names() == names(target)


def test_a_system_that_only_lost_something_is_not_asked_for_at_all(updated: Rig) -> None:
    target = updated.release(OLD[: 20 * BLOCK_BYTES] + OLD[22 * BLOCK_BYTES :])
    asked = len(updated.web.asked)
    assert updated.come_bytes(target) < LITTLE * len(OLD)
    assert len(updated.web.asked) - asked == 2  # its list, and the chunk around the seam


def test_a_system_that_has_little_in_common_comes_in_one_piece(updated: Rig) -> None:
    target = updated.release(OTHER[: 120 * BLOCK_BYTES] + OLD[: 8 * BLOCK_BYTES])
    asked = len(updated.web.asked)
    assert updated.come_bytes(target) >= len(OTHER)
    assert "range" not in updated.web.asked[-1].headers
    assert len(updated.web.asked) - asked == 2


def test_packages_and_small_targets_are_fetched_as_ever(updated: Rig) -> None:
    for name, data in (("app/reed.deb", NEW), ("os/small.raucb", NEW[: 1 << 19])):
        target = updated.release(data, name)
        asked = len(updated.web.asked)
        assert updated.fetch(target).read_bytes() == data
        assert len(updated.web.asked) - asked == 1


# --- what is kept -----------------------------------------------------------------------------------------


def test_the_former_system_outlives_a_download_that_is_called_off_and_other_kinds(updated: Rig) -> None:
    called_off = updated.release(OTHER)
    updated.stop_after = updated.web.sent_bytes + 3_000_000
    with pytest.raises(Stopped):
        updated.fetch(called_off)
    updated.stop_after = 1 << 60
    updated.fetch(updated.release(b"package", "app/reed.deb"))
    target = updated.release(NEW)
    assert updated.come_bytes(target) < LITTLE * len(NEW)
    assert updated.names() == names(target)


def test_a_system_that_was_never_installed_serves_all_the_same(updated: Rig) -> None:
    updated.fetch(updated.release(NEW))  # and rolled back, or cancelled
    assert updated.come_bytes(updated.release(OLD)) < LITTLE * len(OLD)


def test_of_two_former_systems_that_a_power_cut_left_one_is_kept(updated: Rig) -> None:
    first, second = updated.release(OLD), updated.release(NEW)
    kept = {path: path.read_bytes() for path in updated.spool.iterdir()}
    updated.fetch(second)
    for path, data in kept.items():
        path.write_bytes(data)
        os.utime(path, (1, 1))
    assert updated.names() == names(first, second)
    updated.fetch(updated.release(b"package", "app/reed.deb"))
    assert [name for name in updated.names() if "deb" not in name] == names(second)


def test_a_file_that_was_brought_by_hand_leaves_the_former_system(updated: Rig) -> None:
    brought = updated.spool.parent / "x.reed-update"
    target = updated.release(NEXT)
    with tarfile.open(brought, "w") as archive:
        archive.add(updated.www / target.server_path.lstrip("/"), f"targets/{target.file_name}")
        order = updated.spool.parent / "update.json"
        order.write_text('{"kind": "os", "target": "os/reed.raucb", "version": "1"}')
        archive.add(order, "update.json")
    home = updated.spool.parent / "home"
    home.mkdir()
    updated.spool = updated.spool.rename(home / "targets")
    offline.unpack(brought, home, reserve_bytes=0)
    assert (updated.spool / target.file_name).read_bytes() == NEXT
    target = updated.release(NEW)
    assert updated.come_bytes(target) < LITTLE * len(NEW)
    assert updated.names() == names(target)


class Disk:
    """Has room for so many bytes in one folder."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes

    def free_bytes(self, folder: Path) -> int:
        return self.size_bytes - sum(path.stat().st_size for path in folder.iterdir())


def test_the_former_system_goes_where_there_is_no_room_for_both(
    updated: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_free_bytes", Disk(len(OLD) * 3 // 2).free_bytes)
    target = updated.release(NEW)
    assert updated.come_bytes(target) >= len(NEW)
    assert updated.names() == names(target)


def test_a_disk_that_is_too_small_even_then_is_said(updated: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_free_bytes", Disk(len(OLD)).free_bytes)
    target = updated.release(NEW)
    sent = updated.web.sent_bytes
    with pytest.raises(UpdateError) as caught:
        updated.fetch(target, reserve_bytes=BLOCK_BYTES)
    assert (caught.value.code, caught.value.passing) == (Code.NO_SPACE, True)
    assert (updated.web.sent_bytes, updated.names()) == (sent, [])


# --- what breaks ------------------------------------------------------------------------------------------


def test_a_server_without_a_list_sends_all(updated: Rig) -> None:
    target = updated.release(NEW, listed=False)
    assert updated.come_bytes(target) == len(NEW)
    assert updated.names() == [f"{target.sha256[:4]}.reed.raucb"]


def _entry(length_bytes: int) -> bytes:
    return struct.pack(">I16s", length_bytes, bytes(16))


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data[:-20],
        lambda _: b"",
        lambda _: b"<html>not found, said with 200</html>",
        lambda _: bytes(5_000_000),
        lambda data: b"reedchk2" + data[8:],
        lambda data: data[:8] + b"\xff\xff\xff\xff" + data[12:],
        lambda data: data[:12] + _entry(0) + data[32:],
        lambda data: data[:12] + _entry(0xFFFFFFFF) + data[32:],
        lambda data: data[:12] + _entry(65_537) + data[32:],
    ],
)
def test_a_list_that_is_broken_costs_a_whole_download(updated: Rig, change: Callable[[bytes], bytes]) -> None:
    target = updated.release(NEW)
    updated.list_file(target).write_bytes(change(updated.list_file(target).read_bytes()))
    sent = updated.web.sent_bytes
    assert updated.fetch(target).read_bytes() == NEW
    assert updated.web.sent_bytes - sent == len(NEW)


def test_a_list_that_lies_costs_a_whole_download_more_and_is_believed_no_longer(updated: Rig) -> None:
    former_list = (updated.spool / former.find(updated.spool).name).with_suffix(".raucb.chunks").read_bytes()
    target = updated.release(bytes(reversed(OLD)))
    updated.list_file(target).write_bytes(former_list)  # it says: as before
    sent = updated.web.sent_bytes
    assert updated.fetch(target).read_bytes() == bytes(reversed(OLD))
    assert updated.web.sent_bytes - sent == len(OLD)
    assert updated.names() == [f"{target.sha256[:4]}.reed.raucb"]


def test_what_was_not_signed_is_refused_though_list_and_server_agree(updated: Rig) -> None:
    target = updated.release(NEW)
    lied = updated.release(NEXT[: len(NEW)].ljust(len(NEW), b"x"))
    updated.list_file(target).write_bytes(updated.list_file(lied).read_bytes())
    (updated.www / lied.server_path.lstrip("/")).rename(updated.www / target.server_path.lstrip("/"))
    with pytest.raises(UpdateError) as caught:
        updated.fetch(target)
    assert caught.value.code == Code.UNTRUSTED
    assert updated.names() == []


@pytest.mark.parametrize("places", [[0], [1_000_000], [len(OLD) - 1], list(range(0, len(OLD), 1 << 20))])
def test_where_the_former_system_has_rotted_the_server_is_asked(updated: Rig, places: list[int]) -> None:
    path = former.find(updated.spool)
    assert path is not None
    data = bytearray(path.read_bytes())
    for place in places:
        data[place] ^= 1
    path.write_bytes(data)
    assert updated.come_bytes(updated.release(NEW)) < LITTLE * len(NEW) + len(places) * BLOCK_BYTES


@pytest.mark.parametrize("left", [0, 1, 3_000_000])
def test_a_former_system_that_lost_its_end_costs_a_whole_download(updated: Rig, left: int) -> None:
    path = former.find(updated.spool)
    assert path is not None
    os.truncate(path, left)
    assert updated.come_bytes(updated.release(NEW)) >= len(NEW)


@pytest.mark.parametrize("happens", [Path.unlink, lambda path: os.truncate(path, 0)])
def test_a_former_system_that_goes_meanwhile_is_not_missed(
    updated: Rig, happens: Callable[[Path], None]
) -> None:
    path = former.find(updated.spool)
    assert path is not None
    updated.web.on_sent = lambda _: happens(path) if path.exists() else None
    assert updated.come_bytes(updated.release(NEW)) <= len(NEW) * 1.1


def test_a_card_that_cannot_read_the_former_system_costs_a_whole_download(
    updated: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(former.os, "pread", failing)
    assert updated.come_bytes(updated.release(NEW)) >= len(NEW)


def test_links_in_the_spool_are_no_former_system(rig: Rig) -> None:
    target = rig.release(OLD)
    rig.spool.mkdir()
    secret = rig.spool.parent / "secret"
    secret.write_bytes(NEW)
    for name in ("a.raucb", "a.raucb.chunks"):
        (rig.spool / name).symlink_to(secret)
    assert rig.come_bytes(target) >= len(OLD)
    assert (rig.names(), secret.read_bytes()) == (names(target), NEW)


def test_a_target_that_is_called_like_a_list_is_a_target(updated: Rig) -> None:
    target = updated.release(NEW, "os/reed.raucb.chunks")
    assert updated.come_bytes(target) < LITTLE * len(NEW)
    target = updated.release(OLD, "os/x.part")
    assert updated.come_bytes(target) < LITTLE * len(OLD)


# --- what is cut off --------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [at / 23 for at in range(24)])
def test_power_that_is_lost_anywhere_costs_no_more_bytes(updated: Rig, share: float) -> None:
    target = updated.release(NEW)
    updated.part(target).write_bytes(NEW[: int(share * len(NEW))])
    assert updated.come_bytes(target) < LITTLE * len(NEW)


@pytest.mark.parametrize("offset", [-1, 0, 1, 20_000, 50_000, 50_001, 50_002])
def test_power_that_is_lost_around_what_differs_costs_no_more_bytes(updated: Rig, offset: int) -> None:
    target = updated.release(NEW)
    updated.part(target).write_bytes(NEW[: 50 * BLOCK_BYTES + offset])
    assert updated.come_bytes(target) < LITTLE * len(NEW)


def test_connections_that_break_again_and_again_send_nothing_twice(updated: Rig) -> None:
    target = updated.release(NEXT)
    sent, tries = updated.web.sent_bytes, 0
    updated.web.ask_breaks = False
    updated.web.cut_after = 7_000
    while not (updated.spool / target.file_name).exists():
        tries += 1
        assert tries < 60
        with suppress(UpdateError):
            updated.fetch(target)
    assert (updated.spool / target.file_name).read_bytes() == NEXT
    assert tries > 3
    assert updated.web.sent_bytes - sent < LITTLE * len(NEXT)


def test_rubbish_that_a_power_cut_left_is_replaced(updated: Rig) -> None:
    target = updated.release(NEW)
    updated.part(target).write_bytes(bytes(1_000_000))
    assert updated.come_bytes(target) < (1 + LITTLE) * len(NEW)


def test_a_download_that_is_stopped_while_it_copies_goes_on_later(updated: Rig) -> None:
    target = updated.release(NEW)
    updated.stop_after = updated.web.sent_bytes + 1  # right behind the first bytes of what differs
    with pytest.raises(Stopped):
        updated.fetch(target)
    begun = updated.part(target).stat().st_size
    assert NEW.startswith(updated.part(target).read_bytes())
    assert 50 * BLOCK_BYTES - BLOCK_BYTES < begun < len(NEW)
    updated.stop_after = 1 << 60
    assert updated.come_bytes(target) < LITTLE * len(NEW)


def test_a_server_without_ranges_sends_all(updated: Rig) -> None:
    updated.web.ranges = False
    assert len(NEW) <= updated.come_bytes(updated.release(NEW)) < 1.1 * len(NEW)


@pytest.mark.parametrize(("shift", "beyond"), [(1, b""), (-5_000, b""), (1 << 40, b""), (0, bytes(300_000))])
def test_a_server_that_sends_another_part_than_was_asked_for_sends_all(
    updated: Rig, shift: int, beyond: bytes
) -> None:
    updated.web.shift, updated.web.beyond = shift, beyond
    assert len(NEW) <= updated.come_bytes(updated.release(NEW)) < 1.1 * len(NEW)


# --- the plan ---------------------------------------------------------------------------------------------


def _chunks(*lengths: int) -> list[Chunk]:
    ends = [sum(lengths[: at + 1]) for at in range(len(lengths))]
    return [
        Chunk(end - length, end, bytes([at % 256]))
        for at, (end, length) in enumerate(zip(ends, lengths, strict=True))
    ]


def test_neighbours_that_are_missing_are_one_request_and_a_small_gap_belongs_to_it() -> None:
    wanted = _chunks(GAP_BYTES * 30, 9, 9, GAP_BYTES, 9, GAP_BYTES + 1, 9, GAP_BYTES * 30)
    missing = {1, 2, 4, 6}
    found = runs(wanted, lambda chunk: wanted.index(chunk) not in missing)
    assert [(run.is_here, len(run.chunks)) for run in found] == [
        (True, 1), (False, 4), (True, 1), (False, 1), (True, 1),
    ]  # fmt: skip
    assert [chunk for run in found for chunk in run.chunks] == wanted


def test_too_many_requests_are_one() -> None:
    wanted = _chunks(*[9, GAP_BYTES * 2] * 201)
    assert runs(wanted, lambda chunk: chunk.length_bytes > 9) == []
    assert len(runs(wanted[:-2], lambda chunk: chunk.length_bytes > 9)) == 400


def test_where_most_is_missing_all_is_asked_for() -> None:
    assert runs(_chunks(81_000, 19_000), lambda chunk: chunk.length_bytes == 19_000) == []
    assert len(runs(_chunks(79_000, 21_000), lambda chunk: chunk.length_bytes == 21_000)) == 2
