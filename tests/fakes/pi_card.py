"""A Raspberry Pi with a card of three FAT partitions on which the real ota/rauc-tryboot runs.

What the script calls (mount, vcmailbox, reboot) are small programs that keep their state in files.
A cut is the end of the script and all it has started, before or after a program that changes something.
"""

import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.ota.fat import SECTOR, Fat, FatError, Partition, partitions
from tests.ota.firmware import Firmware, Start

SCRIPT = Path(__file__).parents[2] / "ota" / "rauc-tryboot"
SLOTS = {2: "A", 3: "B"}
_SIZES = {1: 8192, 2: 2048, 3: 2048}
_FIRST = 2048
_PROGRAMS = {
    "vcmailbox": """\
case $1:$(cat "$RIG/mailbox") in
*:broken) echo "Failed to open vcio: No such file or directory" >&2; exit 1 ;;
*:hanging) sleep 60 ;;
0x00038064:works) echo "$4" >"$RIG/flag" ;;
esac
echo "0x0000001c 0x80000000 $1 0x00000004 0x80000004 0x0000000$(cat "$RIG/flag") 0x00000000"
""",
    "mount": """\
[ "$1 $3" = "-o $RIG/select" ] || exit 64
case $2 in
remount,rw) [ ! -e "$RIG/sealed" ] || exit 32; touch "$RIG/writable" ;;
remount,ro) rm -f "$RIG/writable" ;;
*) exit 64 ;;
esac
""",
    "mountpoint": '[ ! -e "$RIG/unmounted" ]\n',
    "reboot": 'touch "$RIG/rebooting"\n',
}
_CHANGES = {"cat": "/bin/cat", "sync": "/bin/sync", "mv": "/bin/mv", "rm": "/bin/rm"}
_CUT = """\
cut_power() { kill -9 "-$(cut -d " " -f 6 "/proc/$$/stat")" 0; }
count=$(( $(/bin/cat "$RIG/count" 2>/dev/null || echo 0) + 1 ))
echo $count >"$RIG/count"
case ${CUT-} in "$count before") cut_power ;; esac
"""
_CUT_AFTER = 'status=$?\ncase ${CUT-} in "$count after") cut_power ;; esac\nexit $status\n'
_CHECK_SEALED = """\
case "$*" in *"$RIG/select"*) [ -e "$RIG/writable" ] || { echo "$*" >>"$RIG/forbidden"; exit 1; } ;; esac
"""


def why_not() -> str:
    """Return why there can be no such card here, or "" if there can."""
    missing = [name for name in ("mkfs.vfat", "mcopy", "flock") if shutil.which(name, path=_path()) is None]
    return f"missing: {', '.join(missing)} (apt install dosfstools mtools)" if missing else ""


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def text(slot: str) -> str:
    """Return autoboot.txt for a committed slot, as docs/updates.md shows it."""
    here, there = (2, 3) if slot == "A" else (3, 2)
    return f"[all]\ntryboot_a_b=1\nboot_partition={here}\n[tryboot]\nboot_partition={there}\n"


_made: dict[tuple[int, tuple[tuple[str, str], ...]], bytes] = {}
"""File systems by size and files: making them takes most of the time."""


class Card:
    """Slot A runs and is committed; the machine is on.

    Args:
        folder: An empty folder.
        forgetful: The firmware answers, and forgets the flag at once.
        select_mib: Size of the first partition.
    """

    def __init__(self, folder: Path, *, forgetful: bool = False, select_mib: int = 4) -> None:
        self._sizes = {**_SIZES, 1: select_mib * 2048}
        self.folder = folder
        self.disk = folder / "disk.img"
        self.select = folder / "select"
        self.state = folder / "data" / "reed-boot"
        self.firmware = Firmware(self.disk, forgetful=forgetful)
        self.boots = 0
        self._make_programs()
        for name in ("select", "data", "dt"):
            (folder / name).mkdir()
        (self.select / "autoboot.txt").write_text(text("A"))
        (folder / "mailbox").write_text("forgetful" if forgetful else "works")
        self._make_disk()
        self.boot()

    # --- power --------------------------------------------------------------------------------------

    def switch_on(self) -> Start:
        """Let the firmware choose; nothing of the system has run then. Raises NotStartedError."""
        self._store_select()
        self.start = self.firmware.boot()
        self.boots += 1
        self.start.write(self.folder / "dt")
        (self.folder / "flag").write_text("0")
        (self.folder / "boot_id").write_text(f"boot-{self.boots}\n")
        (self.folder / "cmdline").write_text(f"quiet rauc.slot={self.running} panic=10\n")
        for name in ("rebooting", "writable", "count"):
            (self.folder / name).unlink(missing_ok=True)
        return self.start

    def boot(self) -> str:
        """Let it start until it stays up, with its repair; return the slot that runs then."""
        for _ in range(6):
            self.switch_on()
            self.call("repair", check=False)
            if not (self.folder / "rebooting").exists():
                return self.running
            self.firmware.flag = False
        raise AssertionError("it never stays up")

    def reboot(self) -> str:
        """Restart as `systemctl reboot` does: the flag is kept."""
        return self.boot()

    def cut_power(self) -> str:
        """Switch off and on again."""
        self.firmware.cut_power()
        return self.boot()

    # --- what runs there ----------------------------------------------------------------------------

    @property
    def running(self) -> str:
        """The slot that the firmware has started."""
        return SLOTS[self.start.partition]

    @property
    def forbidden(self) -> str:
        """What was written to p1 while it was read-only."""
        path = self.folder / "forbidden"
        return path.read_text() if path.exists() else ""

    def call(self, *words: str, check: bool = True, cut: str = "") -> subprocess.CompletedProcess[str]:
        """Run the script; a cut is "N before" or "N after" the Nth program that changes something."""
        (self.folder / "count").unlink(missing_ok=True)
        done = subprocess.run(
            ["sh", SCRIPT, *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self.environment() | {"CUT": cut},
            start_new_session=True,
        )
        self.firmware.flag = (self.folder / "flag").read_text().strip() == "1"
        assert not check or done.returncode == 0, done.stderr
        return done

    def says(self, *words: str) -> str:
        """Return what the script prints."""
        return self.call(*words).stdout.strip()

    def install(self, slot: str) -> None:
        """Call the script as RAUC 1.13 does for an installation."""
        self.call("set-state", slot, "bad")
        self.call("set-primary", slot)

    def note(self, name: str) -> str:
        """Return one of the script's notes, "" if there is none."""
        path = self.state / name
        return path.read_text().strip() if path.exists() else ""

    def environment(self) -> dict[str, str]:
        """Return what the script is run with."""
        return {
            "PATH": f"{self.folder}/bin:{_path()}",
            "RIG": str(self.folder),
            "REED_BOOT_SETTINGS": "",
            "REED_AUTOBOOT": str(self.select / "autoboot.txt"),
            "REED_BOOT_STATE": str(self.state),
            "REED_DT": str(self.folder / "dt"),
            "REED_CMDLINE": str(self.folder / "cmdline"),
            "REED_BOOT_ID": str(self.folder / "boot_id"),
            "REED_REBOOT": "reboot",
            "REED_WITHOUT_DATA": str(self.folder / "without-data"),
            "REED_BOOT_LOCK": str(self.folder / "lock"),
            "REED_VCMAILBOX_WAIT_S": "1" if (self.folder / "mailbox").read_text() == "hanging" else "60",
        }

    def _make_programs(self) -> None:
        folder = self.folder / "bin"
        folder.mkdir(parents=True)
        programs = {name: _CUT + body + _CUT_AFTER for name, body in _PROGRAMS.items()}
        for name, real in _CHANGES.items():
            check = _CHECK_SEALED if name in ("mv", "rm") else ""
            programs[name] = f'{_CUT}{check}{real} "$@"\n{_CUT_AFTER}'
        for name, body in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{body.replace('$(cat ', '$(/bin/cat ')}")
            (folder / name).chmod(0o755)

    # --- the card -----------------------------------------------------------------------------------

    def partition(self, number: int) -> Partition:
        """Return where a partition lies."""
        return next(p for p in partitions(self.disk) if p.number == number)

    def _make_disk(self) -> None:
        table, start = b"", _FIRST
        with self.disk.open("wb") as image:
            for sectors in self._sizes.values():
                table += struct.pack("<B3sB3sII", 0, b"", 0x0C, b"", start, sectors)
                start += sectors
            image.truncate(start * SECTOR)
            image.write(bytes(446) + table + bytes(16) + b"\x55\xaa")
        for number in SLOTS:
            self.format(number, {"config.txt": "kernel=kernel8.img\n"})

    def format(self, number: int, files: dict[str, str]) -> None:
        """Make a FAT file system with these files."""
        key = (self._sizes[number], tuple(files.items()))
        if key not in _made:
            _made[key] = self._make_fat(*key)
        self.write_partition(number, _made[key])

    def _make_fat(self, sectors: int, files: tuple[tuple[str, str], ...]) -> bytes:
        made = self.folder / "made.img"
        made.unlink(missing_ok=True)
        make = ["mkfs.vfat", "-i", "12345678", "-C", made, str(sectors // 2)]
        subprocess.run(make, check=True, capture_output=True, env={"PATH": _path()})
        for name, content in files:
            (self.folder / "made.txt").write_bytes(content.encode("latin-1"))
            mtools("mcopy", made, self.folder / "made.txt", f"::{name}")
        return made.read_bytes()

    def read_partition(self, number: int) -> bytes:
        """Return a partition raw."""
        found = self.partition(number)
        with self.disk.open("rb") as image:
            image.seek(found.start * SECTOR)
            return image.read(found.sectors * SECTOR)

    def write_partition(self, number: int, content: bytes) -> None:
        """Overwrite a partition raw."""
        with self.disk.open("r+b") as image:
            image.seek(self.partition(number).start * SECTOR)
            image.write(content)

    def write_sectors(self, number: int, sectors: dict[int, bytes]) -> None:
        """Overwrite sectors of a partition, counted from its beginning."""
        start = self.partition(number).start
        with self.disk.open("r+b") as image:
            for at, sector in sectors.items():
                image.seek((start + at) * SECTOR)
                image.write(sector)

    def _store_select(self) -> None:
        """Make p1 what the folder holds, unless the test has put a file system there itself."""
        self.format(
            1, {path.name: path.read_bytes().decode("latin-1") for path in sorted(self.select.iterdir())}
        )

    def load_select(self) -> None:
        """Make the folder what a FAT driver reads in p1 now."""
        for path in self.select.iterdir():
            path.unlink()
        try:
            fat = Fat(self.disk, self.partition(1).start)
            names = fat.names()
        except FatError:
            return
        for name in names:
            if name.lower() in ("autoboot.txt", "autoboot.new") and fat.holds(name):
                (self.select / name.lower()).write_bytes(fat.read(name))


def mtools(program: str, image: Path, *words: str | Path) -> None:
    """Run one of mtools on an image. Raises CalledProcessError."""
    command: Sequence[str | Path] = [program, "-i", image, *words]
    environment = {"PATH": _path(), "MTOOLS_SKIP_CHECK": "1", "TZ": "UTC"}
    subprocess.run(command, check=True, capture_output=True, env=environment)
