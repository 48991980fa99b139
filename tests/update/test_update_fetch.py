"""Downloads that break, resume, and never believe the server."""

import asyncio
import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest

from gateway.domain.update.model import Code, Kind, Order
from gateway.errors import StoreError, UpdateError
from gateway.update import fetch, part
from gateway.update.fetch import Download, Stopped
from gateway.update.spooler import Spooler
from gateway.update.trust.fetchers import FolderFetcher, WebFetcher
from gateway.update.trust.target import Device, Target
from gateway.update.trust.trusted import Trusted, judged_at
from ota import adding
from tests.fakes.ota.house import Vendor, in_days
from tests.fakes.ota.web import FileWeb

DATA = bytes(range(256)) * 3_000 + b"end"


class Rig:
    def __init__(self, folder: Path) -> None:
        digest = hashlib.sha256(DATA).hexdigest()
        self.target = Target("os/reed.raucb", len(DATA), digest)
        served = folder / "www" / self.target.server_path.lstrip("/")
        served.parent.mkdir(parents=True)
        served.write_bytes(DATA)
        self.served = served
        self.web = FileWeb(folder / "www")
        self.spool = folder / "spool"
        self.percents: list[int] = []
        self.stop_after = 1 << 60

    @property
    def part(self) -> Path:
        return self.spool / f"{self.target.file_name}.part"

    def fetch(self, reserve_bytes: int = 0) -> Path:
        return fetch.fetch(
            self.web,
            Download(
                self.target,
                self.spool,
                lambda: self.web.sent_bytes >= self.stop_after,
                self.percents.append,
                reserve_bytes,
            ),
        )

    def refused(self, reserve_bytes: int = 0) -> UpdateError:
        with pytest.raises(UpdateError) as caught:
            self.fetch(reserve_bytes)
        return caught.value


@pytest.fixture
def rig(folder: Path) -> Rig:
    return Rig(folder)


def test_a_target_comes_whole_and_alone(rig: Rig) -> None:
    path = rig.fetch()
    assert path.read_bytes() == DATA
    assert [path.name for path in rig.spool.iterdir()] == [rig.target.file_name]
    assert rig.percents == sorted(set(rig.percents))
    assert rig.percents[-1] == 100


def test_what_is_there_is_not_asked_for_again(rig: Rig) -> None:
    rig.fetch()
    asked = len(rig.web.asked)
    rig.fetch()
    assert len(rig.web.asked) == asked


def test_a_download_that_breaks_goes_on_where_it_was(rig: Rig) -> None:
    rig.web.cut_after = 200_000
    for _ in range(3):
        error = rig.refused()
        assert (error.code, error.passing) == (Code.UNREACHABLE, True)
    rig.web.cut_after = None
    assert rig.fetch().read_bytes() == DATA
    assert rig.web.sent_bytes == len(DATA)


@pytest.mark.parametrize("length", [0, 1, 255, 256, 4096, 262_143, 262_144, len(DATA) - 1, len(DATA)])
def test_a_download_that_was_killed_at_any_byte_is_finished(rig: Rig, length: int) -> None:
    rig.spool.mkdir()
    rig.part.write_bytes(DATA[:length])
    assert rig.fetch().read_bytes() == DATA
    assert rig.web.sent_bytes == len(DATA) - length


@pytest.mark.parametrize("length", [1, 5_000, len(DATA) - 1, len(DATA), len(DATA) + 9])
def test_rubbish_that_a_power_cut_left_is_replaced(rig: Rig, length: int) -> None:
    rig.spool.mkdir()
    rig.part.write_bytes(bytes(length))
    assert rig.fetch().read_bytes() == DATA


def test_a_server_without_ranges_begins_anew(rig: Rig) -> None:
    rig.spool.mkdir()
    rig.part.write_bytes(DATA[:5_000])
    rig.web.ranges = False
    assert rig.fetch().read_bytes() == DATA


@pytest.mark.parametrize("shift", [-1, 1, 4_000, len(DATA)])
def test_a_server_that_sends_another_part_than_was_asked_for_is_not_appended(rig: Rig, shift: int) -> None:
    rig.spool.mkdir()
    rig.part.write_bytes(DATA[:5_000])
    rig.web.shift = shift
    assert rig.fetch().read_bytes() == DATA


def test_a_file_that_is_longer_than_signed_is_not_even_begun(rig: Rig) -> None:
    rig.web.extra = bytes(10_000_000)
    assert rig.refused().code == Code.UNTRUSTED
    assert rig.web.sent_bytes == 0


def test_a_file_that_says_no_length_is_cut_off_where_it_gets_too_long(rig: Rig) -> None:
    rig.web.extra, rig.web.says_length = bytes(10_000_000), False
    assert rig.refused().code == Code.UNTRUSTED
    assert rig.web.sent_bytes < len(DATA) + 2 * rig.web.piece_bytes
    assert not rig.part.exists() or rig.part.stat().st_size == 0


def test_a_file_that_is_shorter_than_signed_is_not_taken_for_whole(rig: Rig) -> None:
    rig.served.write_bytes(DATA[:-1])
    assert rig.refused().code == Code.UNREACHABLE


def test_another_content_is_refused_and_removed(rig: Rig) -> None:
    rig.served.write_bytes(bytes(len(DATA)))
    assert rig.refused().code == Code.UNTRUSTED
    assert list(rig.spool.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 500, 302, 206])
def test_a_server_that_answers_otherwise_is_asked_again_later(rig: Rig, status: int) -> None:
    rig.web.status = status
    error = rig.refused()
    assert (error.code, error.passing) == (Code.UNREACHABLE, True)


def test_a_disk_with_too_little_room_is_left_alone(rig: Rig) -> None:
    disk = os.statvfs(rig.served.parent)
    error = rig.refused(reserve_bytes=disk.f_bavail * disk.f_frsize)
    assert (error.code, error.passing) == (Code.NO_SPACE, True)
    assert rig.web.asked == []


def test_a_download_stops_between_pieces_and_goes_on_later(rig: Rig) -> None:
    rig.stop_after = 300_000
    with pytest.raises(Stopped):
        rig.fetch()
    assert 300_000 <= rig.part.stat().st_size < len(DATA)
    rig.stop_after = 1 << 60
    assert rig.fetch().read_bytes() == DATA
    assert rig.web.sent_bytes == len(DATA)


def test_the_card_gets_large_pieces_whatever_comes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    write = os.write

    def counting(file: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(file, data)

    monkeypatch.setattr(part.os, "write", counting)
    rig.web.piece_bytes = 1_460
    rig.fetch()
    assert all(size >= part.PIECE_BYTES for size in sizes[:-1])


def test_a_disk_that_fails_is_said_in_a_line(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_: int, __: bytes) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(part.os, "write", failing)
    with pytest.raises(StoreError, match="Input/output error"):
        rig.fetch()


def test_other_targets_make_room(rig: Rig) -> None:
    rig.spool.mkdir()
    (rig.spool / "aaaa.old.raucb").write_bytes(b"old")
    (rig.spool / "bbbb.older.raucb.part").write_bytes(b"older")
    rig.fetch()
    assert [path.name for path in rig.spool.iterdir()] == [rig.target.file_name]


# --- the whole way, as the runner goes it ---------------------------------------------------------------

ORDER = Order("o-1", Kind.OS, "os/reed-1.4.0.raucb", "1.4.0")


class Site:
    def __init__(self, folder: Path) -> None:
        self.vendor = Vendor(folder / "vendor")
        self.vendor.release(ORDER.target, DATA, compatible="reed-rpi")
        self.web = FileWeb(self.vendor.www)
        self.folder = folder
        self.running = "1.3.0"

    def trusted(self, offline: bool) -> Trusted:
        fetcher = FolderFetcher(self.folder / "spool" / "metadata") if offline else WebFetcher(self.web)
        return Trusted(
            self.folder / "tuf", self.vendor.root, fetcher, lambda: judged_at(in_days(0).timestamp(), 0)
        )

    def spooler(self) -> Spooler:
        device = Device("lobby", "reed-rpi", self.running)
        trusts = [self.trusted(offline=False), self.trusted(offline=True)]
        return Spooler(self.folder / "spool", trusts, self.web, lambda _: device)


@pytest.fixture
def site(folder: Path) -> Site:
    return Site(folder)


async def test_the_spool_holds_all_that_the_applier_needs(site: Site) -> None:
    percents: list[int] = []
    await site.spooler().fetch(ORDER, percents.append)
    applier = Trusted(
        site.folder / "root",
        site.vendor.root,
        FolderFetcher(site.folder / "spool" / "metadata"),
        lambda: in_days(0),
    )
    target = applier.target(ORDER.target, "os", "1.4.0")
    applier.verify(site.folder / "spool" / "targets" / target.file_name, target)
    assert percents[-1] == 100


async def test_an_order_for_an_older_system_downloads_nothing(site: Site) -> None:
    site.running = "1.5.0"
    with pytest.raises(UpdateError) as caught:
        await site.spooler().fetch(ORDER, lambda _: None)
    assert caught.value.code == Code.OLDER
    assert site.web.sent_bytes == 0


async def test_a_download_that_is_called_off_keeps_what_has_come(site: Site) -> None:
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold(sent_bytes: int) -> None:
        if sent_bytes > 300_000:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait(0.05)

    site.web.on_sent = hold
    async with asyncio.TaskGroup() as group:
        work = group.create_task(site.spooler().fetch(ORDER, lambda _: None))
        await begun.wait()
        work.cancel()
    assert work.cancelled()
    assert site.web.sent_bytes < len(DATA)
    site.web.on_sent = lambda _: None
    await site.spooler().fetch(ORDER, lambda _: None)
    assert site.web.sent_bytes == len(DATA)


async def test_what_was_brought_into_the_spool_serves_while_the_server_is_away(site: Site) -> None:
    await site.spooler().fetch(ORDER, lambda _: None)
    site.web.status = 503
    await site.spooler().fetch(ORDER, lambda _: None)


async def test_what_was_fetched_days_ago_is_made_fresh_before_it_is_installed(site: Site) -> None:
    await site.spooler().fetch(ORDER, lambda _: None)
    before = (site.folder / "spool/metadata/timestamp.json").read_bytes()
    sent = site.web.sent_bytes
    site.vendor.refresh()
    await site.spooler().freshen(ORDER)
    assert (site.folder / "spool/metadata/timestamp.json").read_bytes() != before
    assert site.web.sent_bytes == sent


async def test_a_release_that_was_taken_back_meanwhile_is_noticed(site: Site) -> None:
    await site.spooler().fetch(ORDER, lambda _: None)
    adding.remove(site.vendor.repo, ORDER.target)
    site.vendor.seal()
    with pytest.raises(UpdateError) as caught:
        await site.spooler().freshen(ORDER)
    assert caught.value.code == Code.UNTRUSTED


def test_a_full_disk_leaves_a_beginning_to_go_on_from(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    write, writes = os.write, 0

    def filling(file: int, data: bytes) -> int:
        nonlocal writes
        writes += 1
        if writes == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, bytes(data)[:100_000])

    monkeypatch.setattr(part.os, "write", filling)
    with pytest.raises(StoreError, match="No space left"):
        rig.fetch()
    monkeypatch.undo()
    assert DATA.startswith(rig.part.read_bytes())
    assert rig.fetch().read_bytes() == DATA
