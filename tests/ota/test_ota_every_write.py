"""Every write of the first partition by a real kernel, cut off in every way, boots what is committed.

Commit, commit back and repair run in Debian 13's kernel on a FAT of the image's size; the states that a power
cut can leave are started in the model of the firmware and then repaired by the script.
"""

import subprocess
from pathlib import Path

import pytest

from tests.fakes import pi_card
from tests.fakes.pi_card import Card, text
from tests.ota import written

SIZE_MIB = 64
"""Of the image's first partition (ota/image/disk.sh)."""

pytestmark = pytest.mark.skipif(
    bool(pi_card.why_not() or written.why_not()), reason=pi_card.why_not() or written.why_not() or "-"
)


def select(folder: Path) -> bytes:
    """Make the first partition as the image does."""
    made = folder / "select.vfat"
    (folder / "autoboot.txt").write_text(text("A"))
    make = ["mkfs.vfat", "-F", "32", "-i", "72656561", "-C", made, str(SIZE_MIB * 1024)]
    subprocess.run(make, check=True, capture_output=True, env={"PATH": "/usr/sbin:/sbin:/usr/bin"})
    pi_card.mtools("mcopy", made, folder / "autoboot.txt", "::autoboot.txt")
    return made.read_bytes()


@pytest.mark.timeout(600)
def test_no_write_of_the_first_partition_can_be_cut_so_that_nothing_boots(tmp_path: Path):
    before = select(tmp_path)
    writes = written.record(tmp_path, before)
    card, repaired = Card(tmp_path / "card", select_mib=SIZE_MIB), Card(tmp_path / "repaired")
    card.write_partition(1, before)
    seen: dict[tuple[int, tuple[bytes, ...]], int] = {}
    cuts = 0
    for changed in written.crashes(writes):
        cuts += 1
        card.write_sectors(1, changed)
        start = card.firmware.boot()  # raises if it stays dark
        card.load_select()
        card.write_sectors(1, {at: before[at * 512 : at * 512 + 512] for at in changed})
        found = tuple(path.read_bytes() for path in sorted(card.select.iterdir()))
        seen[start.partition, found] = seen.get((start.partition, found), 0) + 1
    for partition, found in seen:
        _is_repaired(repaired, partition, found)
    sectors = sum(len(write.data) for write in writes) // 512
    print(f"{len(writes)} writes and flushes, {sectors} sectors, {cuts} cuts, {len(seen)} states")  # noqa: T201
    assert cuts >= 60
    assert {partition for partition, _ in seen} == {2, 3}


def _is_repaired(card: Card, partition: int, found: tuple[bytes, ...]) -> None:
    """Whichever slot is committed, the machine ends in it with an autoboot.txt that says so."""
    for committed in "AB":
        for path in card.select.iterdir():
            path.unlink()
        for name, content in zip(
            ("autoboot.new", "autoboot.txt")[-len(found) :] if found else (), found, strict=True
        ):
            (card.select / name).write_bytes(content)
        (card.state / "committed").write_text(f"{committed}\n")
        assert card.boot() == committed, (partition, found)
        assert (card.select / "autoboot.txt").read_text() == text(committed)
        assert card.boot() == committed
