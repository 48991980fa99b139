"""Power is cut at every step of ota/rauc-tryboot, and in every write of the first partition.

Two enumerations. (1) The script ends before and after each program of its that changes something, as if
power had gone; the flag is lost. (2) The sectors of p1 that differ between the states before, beside and
after a replacement are combined in every way, each sector in any of its versions: more than any order of the
writes can leave behind.
"""

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes import pi_card
from tests.fakes.pi_card import Card, mtools, text
from tests.ota.fat import SECTOR

pytestmark = pytest.mark.skipif(bool(pi_card.why_not()), reason=pi_card.why_not() or "-")


def staged(card: Card) -> None:
    card.install("B")


def on_trial(card: Card) -> None:
    card.install("B")
    card.reboot()


def fell_back(card: Card) -> None:
    on_trial(card)
    card.switch_on()


def committed_to_b(card: Card) -> None:
    on_trial(card)
    card.call("set-state", "B", "good")


def damaged(card: Card) -> None:
    committed_to_b(card)
    (card.select / "autoboot.txt").write_text("")
    card.switch_on()


def nothing(card: Card) -> None:
    pass


STEPS: dict[str, tuple[Callable[[Card], None], tuple[str, ...], str]] = {
    "stage": (nothing, ("set-primary", "B"), "A"),
    "start of an installation": (staged, ("set-state", "B", "bad"), "A"),
    "commit": (on_trial, ("set-state", "B", "good"), "AB"),
    "end of a trial": (fell_back, ("repair",), "A"),
    "repair": (damaged, ("repair",), "B"),
    "stage on the way back": (committed_to_b, ("set-primary", "A"), "B"),
}
"""What was before, what is cut, and the slots that may run afterwards."""


def cuts() -> Iterator[str]:
    return (f"{count} {moment}" for count in itertools.count(1) for moment in ("before", "after"))


@pytest.mark.parametrize("step", STEPS)
def test_a_cut_at_any_point_boots_what_is_committed(tmp_path: Path, step: str):
    prepare, words, allowed = STEPS[step]
    pristine = tmp_path / "pristine"
    prepare(Card(pristine / "card"))
    ran = set[str]()
    for cut in cuts():
        card = reopened(pristine, tmp_path / cut.replace(" ", "-"))
        done = card.call(*words, check=False, cut=cut)
        if done.returncode >= 0:
            assert done.returncode == 0
            break
        slot = card.cut_power()
        assert slot in allowed, cut
        assert (slot, text(slot)) == (card.note("committed"), (card.select / "autoboot.txt").read_text()), cut
        assert [card.reboot(), card.cut_power()] == [slot, slot], cut
        assert card.note("staged") == "", cut
        ran.add(slot)
    assert ran == set(allowed)
    assert int(cut.split()[0]) > 3


def reopened(pristine: Path, folder: Path) -> Card:
    """Return a card in the state that another was left in."""
    card = Card(folder)
    for name in ("select", "data", "dt"):
        shutil.rmtree(folder / name)
        shutil.copytree(pristine / "card" / name, folder / name)
    for name in ("boot_id", "cmdline", "flag"):
        shutil.copy(pristine / "card" / name, folder / name)
    card.boots = 1000
    return card


# --- every write of p1 ----------------------------------------------------------------------------------


def replaced(card: Card, before: str, after: str) -> list[bytes]:
    """Return p1 at rest: before, with the new file beside, without a file of that name, and after."""
    card.format(1, {"autoboot.txt": before})
    raw = card.folder / "p1.img"
    raw.write_bytes(card.read_partition(1))
    (card.folder / "new.txt").write_text(after)
    states = [raw.read_bytes()]
    for program, *words in (
        ("mcopy", card.folder / "new.txt", "::autoboot.new"),
        ("mdel", "::autoboot.txt"),
        ("mren", "::autoboot.new", "::autoboot.txt"),
    ):
        mtools(str(program), raw, *words)
        states.append(raw.read_bytes())
    return states


def combinations(states: list[bytes]) -> Iterator[bytes]:
    """Give each sector each of its versions, independently of all others."""
    sectors = range(0, len(states[0]), SECTOR)
    versions = {at: sorted({state[at : at + SECTOR] for state in states}) for at in sectors}
    changed = {at: found for at, found in versions.items() if len(found) > 1}
    for choice in itertools.product(*changed.values()):
        image = bytearray(states[0])
        for at, sector in zip(changed, choice, strict=True):
            image[at : at + SECTOR] = sector
        yield bytes(image)


@pytest.mark.parametrize(("before", "after"), [("A", "B"), ("B", "A")])
@pytest.mark.parametrize("committed", ["A", "B"])
def test_any_mixture_of_written_sectors_boots_and_is_repaired(
    tmp_path: Path, before: str, after: str, committed: str
):
    card = Card(tmp_path)
    seen = set[tuple[int, bytes]]()
    tried = 0
    for image in combinations(replaced(card, text(before), text(after))):
        tried += 1
        card.write_partition(1, image)
        start = card.firmware.boot()  # raises if it stays dark
        card.load_select()
        found = b"".join(path.read_bytes() for path in sorted(card.select.iterdir()))
        if (start.partition, found) in seen:
            continue
        seen.add((start.partition, found))
        (card.state / "committed").write_text(f"{committed}\n")
        assert card.boot() == committed
        assert (card.select / "autoboot.txt").read_text() == text(committed)
    assert tried >= 32
    assert len(seen) >= 3


def test_a_first_partition_of_garbage_boots_the_first_slot(tmp_path: Path):
    card = Card(tmp_path)
    for garbage in (bytes(4096), b"\xff" * 4096, b"\x55\xaa" * 2048):
        card.write_partition(1, garbage)
        assert card.firmware.boot().partition == 2
