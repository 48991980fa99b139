"""The image as it lies on a card: slots, what outlives an update, and who gets in. Nothing is started."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.ota.harness.works import FIRST, PROJECT, works
from tests.system.harness.tree import why_not

STATE = PROJECT / "ota/image/files/etc/initramfs-tools/scripts/local-bottom/reed"
PARTITIONS = {1: 64, 2: 64, 3: 64, 5: 1024, 6: 1024, 7: 256}
"""MiB by number."""

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not())


@pytest.fixture(scope="module")
def image() -> Path:
    """The folder of the test image."""
    return works().image(FIRST, disk=True)


def ask(image: Path, request: str) -> str:
    """Return what debugfs says of the root file system; complaints follow, after a line with its version."""
    words = ["/usr/sbin/debugfs", "-R", request, str(image / "root.ext4")]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    return said.stdout + said.stderr.partition("\n")[2]


def table(image: Path) -> dict[int, tuple[int, int]]:
    """Return start and size of each partition in bytes, by number."""
    dump = subprocess.run(
        ["/usr/sbin/sfdisk", "--dump", image / "disk.img"], capture_output=True, text=True, check=True
    ).stdout
    lines = re.findall(r"img(\d) : start= *(\d+), size= *(\d+)", dump)
    return {int(number): (int(start) * 512, int(size) * 512) for number, start, size in lines}


def files_of(image: Path, number: int) -> dict[str, bytes]:
    """Return what lies in the first folder of a FAT partition."""
    offset = table(image)[number][0]
    disk = f"{image / 'disk.img'}@@{offset}"
    listed = subprocess.run(
        ["mdir", "-b", "-i", disk, "::"], capture_output=True, text=True, check=True
    ).stdout
    names = [name.removeprefix("::/") for name in listed.split() if not name.endswith("/")]
    return {
        name: subprocess.run(["mtype", "-i", disk, f"::{name}"], capture_output=True, check=True).stdout
        for name in names
    }


def test_the_card_has_two_slots_one_place_for_data_and_all_fats_first(image: Path) -> None:
    places = {number: place for number, place in table(image).items() if number != 4}
    assert {number: size >> 20 for number, (_, size) in places.items()} == PARTITIONS
    starts = [start for start, _ in (places[number] for number in sorted(places))]
    assert starts == sorted(starts)
    assert all(start % (4 << 20) == 0 for start in starts)


def test_the_first_partition_chooses_and_holds_nothing_that_starts(image: Path) -> None:
    files = files_of(image, 1)
    assert list(files) == ["autoboot.txt"]
    assert len(files["autoboot.txt"]) <= 512
    assert b"boot_partition=2" in files["autoboot.txt"].split(b"[tryboot]")[0]


def test_both_slots_are_the_same_to_the_last_byte(image: Path) -> None:
    with (image / "disk.img").open("rb") as disk:
        for made, numbers in (("boot.vfat", (2, 3)), ("root.ext4", (5, 6))):
            whole = (image / made).read_bytes()
            for number in numbers:
                disk.seek(table(image)[number][0])
                assert disk.read(len(whole)) == whole, f"partition {number}"


@pytest.mark.parametrize(("slot", "root"), [("a", "05"), ("b", "06")])
def test_each_command_line_names_its_own_slot_and_a_root_that_is_not_written(
    image: Path, slot: str, root: str
) -> None:
    words = files_of(image, 2)[f"cmdline-{slot}.txt"].decode().split()
    assert f"rauc.slot={slot.upper()}" in words
    assert f"root=PARTUUID=72656564-{root}" in words
    assert "ro" in words
    assert "panic=10" in words


def test_everything_that_is_kept_has_a_place_in_the_root(image: Path) -> None:
    kept = re.search(r"kept='([^']*)'", STATE.read_text())
    assert kept
    for path in [*kept[1].split(), "/data", "/boot/firmware", "/boot/select"]:
        assert "Type: directory" in ask(image, f"stat {path}"), path


def test_no_password_no_console_and_no_key_opens_it(image: Path) -> None:
    shadow = ask(image, "cat /etc/shadow").splitlines()
    assert shadow
    assert all(line.split(":")[1][:1] in ("!", "*") for line in shadow)
    for unit in ("getty@.service", "serial-getty@.service", "apt-daily-upgrade.timer"):
        assert "/dev/null" in ask(image, f"stat /etc/systemd/system/{unit}"), unit
    assert "ssh_host_" not in ask(image, "ls /etc/ssh")
    assert " ssh.service" not in ask(image, "ls /etc/systemd/system/multi-user.target.wants")


def test_what_a_gateway_makes_up_for_itself_is_not_in_the_image(image: Path) -> None:
    assert not ask(image, "cat /etc/machine-id")
    assert "File not found" in ask(image, "stat /var/lib/systemd/random-seed")


def test_rauc_is_told_what_this_image_is(image: Path) -> None:
    settings = ask(image, "cat /etc/rauc/system.conf")
    assert f"min-bundle-version={FIRST}" in settings
    assert f"compatible={(image / 'compatible').read_text().strip()}" in settings
    assert "@" not in re.sub(r"#.*", "", settings)
    assert "BEGIN CERTIFICATE" in ask(image, "cat /etc/rauc/keyring.pem")


def test_slots_made_again_of_the_same_system_are_the_same(tmp_path: Path) -> None:
    words = [str(PROJECT / "ota/image/build"), "amd64", "--package", str(works().package), "--no-disk"]
    for name in ("once", "again"):
        subprocess.run([*words, "--output", str(tmp_path / name)], check=True, capture_output=True)
    for file in ("root.ext4", "boot.vfat"):
        subprocess.run(["cmp", tmp_path / "once" / file, tmp_path / "again" / file], check=True)
