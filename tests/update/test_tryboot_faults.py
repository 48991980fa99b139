"""ota/rauc-tryboot with a firmware, a card or a disk that fails: nothing is committed, and it says so."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.fakes import pi_card
from tests.fakes.pi_card import SCRIPT, Card, text

pytestmark = pytest.mark.skipif(bool(pi_card.why_not()), reason=pi_card.why_not() or "-")


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


def refused(card: Card, *words: str) -> str:
    """Return the one line by which a call refuses."""
    done = card.call(*words, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def make_full(card: Card) -> None:
    """No note can be written any more."""
    for name in ("committed", "staged", "bad.A", "bad.B", "tried", "last", "redirects"):
        (card.state / f"{name}.new").mkdir()


@pytest.mark.parametrize("mailbox", ["broken", "hanging"])
def test_without_a_mailbox_nothing_is_staged(card: Card, mailbox: str):
    (card.folder / "mailbox").write_text(mailbox)
    assert "cannot be cleared" in refused(card, "set-primary", "B")
    assert (card.note("staged"), card.note("committed"), card.says("get-primary")) == ("", "A", "A")


def test_a_firmware_that_forgets_the_flag_is_found_out(tmp_path: Path):
    card = Card(tmp_path, forgetful=True)
    assert "forgets the tryboot flag" in refused(card, "set-primary", "B")
    assert (card.note("staged"), card.says("get-primary"), card.reboot()) == ("", "A", "A")


@pytest.mark.parametrize("mailbox", ["broken", "forgetful"])
def test_a_new_system_that_could_not_try_the_next_one_is_not_committed(card: Card, mailbox: str):
    card.install("B")
    card.reboot()
    (card.folder / "mailbox").write_text(mailbox)
    assert "could never be updated again" in refused(card, "set-state", "B", "good")
    (card.folder / "mailbox").write_text("works")
    assert (card.note("committed"), card.reboot(), card.note("last")) == ("A", "A", "B fell-back")


def test_an_installation_is_refused_while_the_flag_cannot_be_cleared(card: Card):
    (card.folder / "mailbox").write_text("broken")
    assert "cannot be cleared" in refused(card, "set-state", "B", "bad")


def test_a_card_that_no_longer_writes_commits_nothing(card: Card):
    card.install("B")
    card.reboot()
    (card.folder / "sealed").touch()
    assert "cannot be made writable" in refused(card, "set-state", "B", "good")
    assert (card.note("committed"), card.reboot()) == ("A", "A")


def test_a_first_partition_that_is_not_mounted_commits_nothing(card: Card):
    card.install("B")
    card.reboot()
    (card.folder / "unmounted").touch()
    assert "is not mounted" in refused(card, "set-state", "B", "good")
    assert card.note("committed") == "A"


def test_a_full_first_partition_commits_nothing_and_is_read_only_again(card: Card):
    card.install("B")
    card.reboot()
    (card.select / "autoboot.new").mkdir()
    assert "cannot be written" in refused(card, "set-state", "B", "good")
    assert (card.note("committed"), (card.folder / "writable").exists()) == ("A", False)


def test_a_full_disk_stages_and_commits_nothing(card: Card):
    card.install("B")
    card.reboot()
    make_full(card)
    assert "disk full" in refused(card, "set-state", "B", "good")
    assert (card.select / "autoboot.txt").read_text() == text("A")
    assert not (card.folder / "writable").exists()
    assert "disk full" in refused(card, "set-primary", "B")
    assert not card.firmware.flag


def test_a_full_disk_does_not_keep_a_half_written_slot_armed(card: Card):
    card.install("B")
    make_full(card)
    assert "disk full" in refused(card, "set-state", "B", "bad")
    assert (card.firmware.flag, card.reboot()) == (False, "A")


@pytest.mark.parametrize("content", ["", "boot_partition=3\n", "\xff\xfe\x00garbage" * 60, "[all]\n"])
@pytest.mark.parametrize("slot", ["A", "B"])
def test_a_damaged_autoboot_txt_is_restored_from_its_copy(card: Card, slot: str, content: str):
    if slot == "B":
        card.install("B")
        card.reboot()
        card.call("set-state", "B", "good")
    (card.select / "autoboot.txt").write_bytes(content.encode("latin-1"))
    assert card.reboot() == slot
    assert (card.select / "autoboot.txt").read_text() == text(slot)
    assert card.reboot() == slot


def test_a_missing_autoboot_txt_is_restored_from_its_copy(card: Card):
    (card.select / "autoboot.txt").unlink()
    assert (card.reboot(), (card.select / "autoboot.txt").read_text()) == ("A", text("A"))


def test_lost_notes_are_read_from_autoboot_txt(card: Card):
    card.install("B")
    card.reboot()
    card.call("set-state", "B", "good")
    shutil.rmtree(card.state)
    assert (card.says("get-primary"), card.reboot(), card.note("committed")) == ("B", "B", "B")


def test_torn_notes_count_as_lost(card: Card):
    (card.state / "committed").write_text("B")  # its end is missing
    assert (card.reboot(), card.note("committed")) == ("A", "A")


def test_without_notes_and_autoboot_txt_what_runs_is_kept(card: Card):
    shutil.rmtree(card.state)
    (card.select / "autoboot.txt").unlink()
    assert (card.reboot(), card.note("committed")) == ("A", "A")
    assert (card.select / "autoboot.txt").read_text() == text("A")


def test_a_card_that_loses_autoboot_txt_at_each_boot_does_not_keep_it_booting(card: Card):
    card.install("B")
    card.reboot()
    card.call("set-state", "B", "good")
    starts = 0
    for _ in range(6):
        (card.select / "autoboot.txt").write_text("")
        card.switch_on()
        said = card.call("repair", check=False)
        starts += (card.folder / "rebooting").exists()
    assert (starts, said.returncode) == (2, 1)
    assert "staying here" in said.stderr
    assert card.boot() == "B"  # the file held this time
    assert card.note("redirects") == ""


def test_without_the_data_partition_it_stays_where_it_is(card: Card):
    (card.state / "committed").write_text("B\n")
    (card.folder / "without-data").touch()
    card.switch_on()
    assert "staying here" in card.call("repair", check=False).stderr
    assert not (card.folder / "rebooting").exists()


def test_an_old_firmware_that_tells_nothing_is_named(card: Card):
    (card.folder / "dt" / "partition").write_bytes(bytes(4))
    assert "started partition 0" in refused(card, "get-current")
    (card.folder / "dt" / "partition").unlink()
    assert "does not tell 'partition'" in refused(card, "get-current")
    (card.folder / "dt" / "tryboot").write_bytes(b"\x01")
    assert card.call("is-trial", check=False).returncode == 2


@pytest.mark.skipif(
    shutil.which("shellcheck") is None, reason="shellcheck is missing (apt install shellcheck)"
)
def test_shellcheck_finds_nothing():
    scripts = [SCRIPT, SCRIPT.with_name("trial-guard")]
    done = subprocess.run(
        ["shellcheck", "-x", "-P", "SCRIPTDIR", *scripts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
