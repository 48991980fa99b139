"""What is remembered of metadata survives power cuts; what is handed on is verified once more."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import durable
from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update import keep
from gateway.update.trust.fetchers import FolderFetcher, WebFetcher
from gateway.update.trust.spool import hand_on
from gateway.update.trust.trusted import Trusted
from tests.fakes.ota.house import Vendor
from tests.fakes.ota.web import FileWeb

PATH = "os/reed-1.4.0.raucb"


@pytest.fixture
def vendor(folder: Path) -> Vendor:
    made = Vendor(folder / "vendor")
    made.release(PATH)
    return made


def now() -> datetime:
    return datetime.now(UTC)


def runner(vendor: Vendor, folder: Path) -> Trusted:
    return Trusted(folder / "runner", vendor.root, WebFetcher(FileWeb(vendor.www)), now)


def applier(vendor: Vendor, folder: Path) -> Trusted:
    return Trusted(folder / "applier", vendor.root, FolderFetcher(folder / "spool"), now)


def refusal(trusted: Trusted) -> str:
    with pytest.raises(UpdateError) as caught:
        trusted.target(PATH, "os", "1.4.0")
    return caught.value.code


def lengths(size: int) -> list[int]:
    """Every class of length that a cut can leave: nothing, within the digest, the first and last bytes."""
    return sorted({0, 1, 10, 63, 64, 65, 66, 200, size // 2, size - 200, size - 2, size - 1})


def test_a_truncated_memory_heals_and_still_knows_the_newest_state(vendor: Vendor, folder: Path) -> None:
    runner(vendor, folder).target(PATH)
    old = vendor.file("timestamp").read_bytes()
    for _ in range(2):
        vendor.refresh()
        runner(vendor, folder).target(PATH)
    file = folder / "runner" / "trusted"
    whole = file.read_bytes()
    newest = vendor.file("timestamp").read_bytes()
    for length in lengths(len(whole)):
        file.write_bytes(whole[:length])
        vendor.file("timestamp").write_bytes(old)
        assert refusal(runner(vendor, folder)) == Code.OLDER, length
        vendor.file("timestamp").write_bytes(newest)
        assert runner(vendor, folder).target(PATH).version == "1.4.0", length


def test_a_memory_of_zeros_and_one_that_is_gone_heal_from_the_shipped_root(
    vendor: Vendor, folder: Path
) -> None:
    runner(vendor, folder).target(PATH)
    vendor.refresh()
    runner(vendor, folder).target(PATH)
    for data in (bytes(5_000), b""):
        for name in ("trusted", "trusted.former"):
            (folder / "runner" / name).write_bytes(data)
        assert runner(vendor, folder).target(PATH).version == "1.4.0"


def test_a_power_cut_in_any_write_leaves_a_memory_that_works(
    vendor: Vendor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner(vendor, folder).target(PATH)
    write = keep.write
    for cut in (1, 2):
        vendor.refresh()
        written = []

        def dying(path: Path, data: bytes, cut: int = cut, written: list[Path] = written) -> None:
            written.append(path)
            if len(written) == cut:
                path.with_name(f".{path.name}.new").write_bytes(data[: len(data) // 2])
                raise KeyboardInterrupt
            write(path, data)

        monkeypatch.setattr(keep, "write", dying)
        with pytest.raises(KeyboardInterrupt):
            runner(vendor, folder).target(PATH)
        monkeypatch.setattr(keep, "write", write)
        assert runner(vendor, folder).target(PATH).version == "1.4.0"


def test_nothing_is_written_while_nothing_is_new(vendor: Vendor, folder: Path) -> None:
    runner(vendor, folder).target(PATH)
    before = {path: path.stat().st_ino for path in (folder / "runner").iterdir()}
    runner(vendor, folder).target(PATH)
    assert {path: path.stat().st_ino for path in (folder / "runner").iterdir()} == before


def test_what_was_verified_before_a_failure_is_kept(vendor: Vendor, folder: Path) -> None:
    runner(vendor, folder).target(PATH)
    old = vendor.file("timestamp").read_bytes()
    vendor.release("os/reed-1.5.0.raucb", b"fixed", version="1.5.0")
    snapshot = vendor.file("snapshot")
    hidden = snapshot.rename(snapshot.with_suffix(".away"))
    assert refusal(runner(vendor, folder)) == Code.UNREACHABLE
    vendor.file("timestamp").write_bytes(old)
    assert refusal(runner(vendor, folder)) == Code.OLDER
    assert hidden.exists()


def test_the_applier_verifies_what_the_runner_hands_on_with_a_memory_of_its_own(
    vendor: Vendor, folder: Path
) -> None:
    first = runner(vendor, folder)
    target = first.target(PATH)
    hand_on(first.known(), folder / "spool")
    assert applier(vendor, folder).target(PATH, "os", "1.4.0") == target
    assert sorted(path.name for path in (folder / "spool").iterdir()) == [
        "1.root.json",
        "1.targets.json",
        "2.os.json",
        "2.snapshot.json",
        "timestamp.json",
    ]


def test_a_spool_is_rid_of_what_is_old(vendor: Vendor, folder: Path) -> None:
    hand_on_now(vendor, folder)
    vendor.release("os/reed-1.5.0.raucb", b"fixed", version="1.5.0")
    hand_on_now(vendor, folder)
    assert not (folder / "spool" / "2.os.json").exists()
    assert applier(vendor, folder).target(PATH).version == "1.4.0"


def hand_on_now(vendor: Vendor, folder: Path) -> None:
    trusted = runner(vendor, folder)
    trusted.target(PATH)
    hand_on(trusted.known(), folder / "spool")


def test_a_runner_that_was_taken_over_cannot_show_the_applier_an_old_state(
    vendor: Vendor, folder: Path
) -> None:
    hand_on_now(vendor, folder)
    old = {path.name: path.read_bytes() for path in (folder / "spool").iterdir()}
    vendor.release("os/reed-1.5.0.raucb", b"fixed", version="1.5.0")
    hand_on_now(vendor, folder)
    applier(vendor, folder).target(PATH)
    for name, data in old.items():
        (folder / "spool" / name).write_bytes(data)
    assert refusal(applier(vendor, folder)) == Code.OLDER


@pytest.mark.parametrize("trap", ["fifo", "link", "folder", "endless"])
def test_a_spool_full_of_traps_neither_holds_nor_leads_the_applier_astray(
    vendor: Vendor, folder: Path, trap: str
) -> None:
    hand_on_now(vendor, folder)
    file = folder / "spool" / "timestamp.json"
    file.unlink()
    if trap == "fifo":
        os.mkfifo(file)
    elif trap == "link":
        file.symlink_to("/etc/passwd")
    elif trap == "folder":
        file.mkdir()
    else:
        file.touch()
        os.truncate(file, 1 << 40)
    assert refusal(applier(vendor, folder)) in (Code.UNTRUSTED, Code.UNREACHABLE)


def test_an_empty_spool_is_worth_another_download(vendor: Vendor, folder: Path) -> None:
    with pytest.raises(UpdateError) as caught:
        applier(vendor, folder).target(PATH)
    assert (caught.value.code, caught.value.passing) == (Code.UNREACHABLE, True)


def test_a_full_disk_is_said_and_loses_nothing(
    vendor: Vendor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner(vendor, folder).target(PATH)
    vendor.refresh()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable.os, "fsync", full)
    with pytest.raises(Exception, match="No space left"):
        runner(vendor, folder).target(PATH)
    monkeypatch.undo()
    assert runner(vendor, folder).target(PATH).version == "1.4.0"
