"""The model of the Pi's firmware chooses as Raspberry Pi documents it."""

from pathlib import Path

import pytest

from tests.fakes import pi_card
from tests.fakes.pi_card import Card, text
from tests.ota.firmware import GET_FLAG, SET_FLAG, Firmware, NotStartedError

pytestmark = pytest.mark.skipif(bool(pi_card.why_not()), reason=pi_card.why_not() or "-")


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return Card(tmp_path)


def chosen(card: Card, autoboot: str, *, tryboot: bool = False) -> int:
    """Return the partition that is started with this autoboot.txt."""
    card.format(1, {"autoboot.txt": autoboot})
    card.firmware.flag = tryboot
    return card.firmware.boot().partition


def test_the_flag_is_for_one_start_and_power_takes_it_away(card: Card):
    card.format(1, {"autoboot.txt": text("A")})
    card.firmware.mailbox(SET_FLAG, 1)
    assert card.firmware.mailbox(GET_FLAG, 0)[5] == 1
    assert [card.firmware.boot().partition, card.firmware.boot().partition] == [3, 2]
    card.firmware.mailbox(SET_FLAG, 1)
    card.firmware.cut_power()
    assert card.firmware.boot().partition == 2


def test_an_early_pi_4_keeps_the_flag_over_a_power_cut(card: Card):
    early = Firmware(card.disk, stores=True)
    early.mailbox(SET_FLAG, 1)
    early.cut_power()
    assert early.boot().partition == 3


def test_cells_are_big_endian(card: Card):
    assert card.start.device_tree() == {"partition": b"\0\0\0\2", "tryboot": b"\0\0\0\0"}


@pytest.mark.parametrize(
    ("autoboot", "partition"),
    [
        ("boot_partition=3\n", 3),
        ("[none]\nboot_partition=3\n[all]\nboot_partition=2\n", 2),
        ("[pi5]\nboot_partition=3\n", 2),
        ("boot_partition=2\nboot_partition=3\n", 3),
        ("# boot_partition=3\n", 2),
        ("boot_partition=x\n", 2),
        (" " * 520 + "\nboot_partition=3\n", 2),
        ("", 2),
    ],
)
def test_the_last_line_that_applies_in_the_first_512_bytes_counts(card: Card, autoboot: str, partition: int):
    assert chosen(card, autoboot) == partition


def test_without_whole_partitions_a_trial_needs_tryboot_txt(card: Card):
    with pytest.raises(NotStartedError):
        chosen(card, "boot_partition=2\n", tryboot=True)


def test_a_partition_without_firmware_does_not_start(card: Card):
    card.format(3, {"readme.txt": "empty"})
    with pytest.raises(NotStartedError):
        chosen(card, "boot_partition=3\n")


def test_settings_follow_the_partition_that_was_started(card: Card):
    said = "kernel=vmlinuz\ninitramfs initrd.img followkernel\n[boot_partition=2]\ncmdline=cmdline-a.txt\n"
    said += "[boot_partition=3]\ncmdline=cmdline-b.txt\n[all]\narm_64bit=1\n"
    card.format(2, {"config.txt": said})
    settings = card.firmware.settings(card.start)
    assert (settings["cmdline"], settings["kernel"], settings["initramfs"]) == (
        "cmdline-a.txt",
        "vmlinuz",
        "initrd.img",
    )
