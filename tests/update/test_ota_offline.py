"""Update files that are carried to a gateway without a network."""

import io
import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.domain.update.model import Code, Kind
from gateway.errors import UpdateError
from gateway.update import keep, offline
from gateway.update.trust.fetchers import FolderFetcher, WebFetcher
from gateway.update.trust.trusted import Trusted
from ota.repository import Repository
from tests.fakes.ota.house import in_days
from tests.fakes.ota.tool import ota
from tests.fakes.ota.web import FileWeb


def applier(place: Path) -> Trusted:
    fetcher = FolderFetcher(place / "spool/metadata")
    return Trusted(place / "applier", place / "repo/metadata/1.root.json", fetcher, lambda: in_days(10))


def test_a_gateway_without_a_network_takes_a_file_days_later(place: Path) -> None:
    ota("init repo --test")
    ota("release repo reed-1.0.raucb --kind os --version 1.0 --publish www")
    ota("export repo os/reed-1.0.raucb --to x.reed-update --days 14")
    keep.folder(place / "spool")
    brought = offline.unpack(place / "x.reed-update", place / "spool", reserve_bytes=0)
    assert (brought.kind, brought.target, brought.version) == (Kind.OS, "os/reed-1.0.raucb", "1.0")
    found = applier(place).target(brought.target, brought.kind, brought.version)
    applier(place).verify(place / "spool/targets" / found.file_name, found)


def test_after_an_export_what_is_published_is_newer_than_what_was_carried(place: Path) -> None:
    ota("init repo --test")
    ota("release repo reed-1.0.raucb --kind os --version 1.0")
    ota("export repo os/reed-1.0.raucb --to x.reed-update")
    ota("publish repo www")
    keep.folder(place / "spool")
    offline.unpack(place / "x.reed-update", place / "spool", reserve_bytes=0)
    memory, root = place / "memory", place / "repo/metadata/1.root.json"
    for fetcher in (FolderFetcher(place / "spool/metadata"), WebFetcher(FileWeb(place / "www"))):
        Trusted(memory, root, fetcher, lambda: datetime.now(UTC)).target("os/reed-1.0.raucb")
    ends = Repository(place / "repo").published("timestamp")
    assert ends is not None
    assert (ends.signed.expires - datetime.now(UTC)).days < 2


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/cron.d/evil", "metadata/../../evil", "targets/x", "metadata/x/y.json", "other"]
)
def test_a_file_that_would_write_elsewhere_is_refused(place: Path, name: str) -> None:
    (place / "evil").write_bytes(b"evil")
    with tarfile.open(place / "x.reed-update", "w") as archive:
        archive.add(place / "evil", name)
    keep.folder(place / "spool")
    with pytest.raises(UpdateError) as caught:
        offline.unpack(place / "x.reed-update", place / "spool", reserve_bytes=0)
    assert caught.value.code == Code.INVALID
    assert {path.name for path in (place / "spool").rglob("*")} == {"metadata", "targets"}


def test_links_and_devices_in_a_file_are_refused(place: Path) -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
        entry = tarfile.TarInfo("metadata/timestamp.json")
        entry.type, entry.linkname = kind, "/etc/shadow"
        with tarfile.open(place / "x.reed-update", "w") as archive:
            archive.addfile(entry)
        keep.folder(place / "spool")
        with pytest.raises(UpdateError):
            offline.unpack(place / "x.reed-update", place / "spool", reserve_bytes=0)


@pytest.mark.parametrize("data", [b"", b"hello", bytes(10_240), os.urandom(5_000)])
def test_what_is_no_update_file_is_refused_in_a_line(place: Path, data: bytes) -> None:
    (place / "x.reed-update").write_bytes(data)
    keep.folder(place / "spool")
    with pytest.raises(UpdateError) as caught:
        offline.unpack(place / "x.reed-update", place / "spool", reserve_bytes=0)
    assert caught.value.code == Code.INVALID


@pytest.mark.parametrize(
    "headers",
    [{"GNU.sparse.map": "abc"}, {"GNU.sparse.size": "x"}, {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}],
)
def test_headers_that_make_no_sense_are_refused_in_a_line(place: Path, headers: dict[str, str]) -> None:
    entry = tarfile.TarInfo("metadata/timestamp.json")
    entry.pax_headers, entry.size = headers, 9
    with tarfile.open(place / "x.reed-update", "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(b"no number"))
    keep.folder(place / "spool")
    with pytest.raises(UpdateError, match="is no update file") as caught:
        offline.unpack(place / "x.reed-update", place / "spool", reserve_bytes=0)
    assert caught.value.code == Code.INVALID


def test_metadata_leave_the_reserve_alone_too(place: Path) -> None:
    with tarfile.open(place / "x.reed-update", "w") as archive:
        archive.add(place / "reed-1.0.raucb", "metadata/1.root.json")
    keep.folder(place / "spool")
    with pytest.raises(UpdateError) as caught:
        offline.unpack(place / "x.reed-update", place / "spool", reserve_bytes=1 << 60)
    assert caught.value.code == Code.NO_SPACE


@pytest.mark.parametrize(
    "said",
    [
        "[" * 100_000,
        "[]",
        '{"kind": "os", "target": "os/x"}',
        '{"kind": "os", "target": "../x", "version": "1"}',
        '{"kind": "os", "target": "os/x", "version": "\\ud800"}',
        '{"kind": "os", "target": "os/x", "version": 1}',
        '{"kind": "os", "target": "os/x", "version": "%s"}' % ("1" * 2_000_000),
    ],
)
def test_a_file_that_cannot_say_what_it_is_is_refused_in_a_line(place: Path, said: str) -> None:
    entry = tarfile.TarInfo("update.json")
    entry.size = len(said)
    with tarfile.open(place / "x.reed-update", "w") as archive:
        archive.addfile(entry, io.BytesIO(said.encode()))
    keep.folder(place / "spool")
    with pytest.raises(UpdateError, match=r"update\.json in it is broken") as caught:
        offline.unpack(place / "x.reed-update", place / "spool", reserve_bytes=0)
    assert (caught.value.code, len(str(caught.value)) < 200) == (Code.INVALID, True)
