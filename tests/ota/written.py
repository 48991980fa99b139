"""Has a real kernel run ota/rauc-tryboot on a FAT partition, and records every sector that it writes.

Debian 13's kernel runs in QEMU with an initial file system of the programs that the script calls; the disk is
the first partition alone, and QEMU's blklogwrites driver keeps what reaches it, in order, with the flushes.
The format of the log is that of Linux' dm-log-writes (drivers/md/dm-log-writes.c).
"""

import gzip
import itertools
import lzma
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.ota.fat import SECTOR
from tests.system.harness.tree import REPOSITORY, ready_tree
from tests.system.harness.tree import why_not as why_no_tree

BOOT_S = 240
_MAGIC = 0x6A736677736872
_FLUSH, _DISCARD = 1, 4
_ALL_SUBSETS_OF = 8
"""Of so many writes between two flushes every subset is tried; of more, each prefix and each single loss."""
_PROGRAMS = (
    "dash cat sync mv rm mkdir od timeout dirname readlink cmp sed mount mountpoint flock insmod cp sleep"
)
_MODULES = "nls_cp437 nls_ascii nls_utf8 nls_ucs2_utils fat vfat virtio_blk"
_INIT = """\
#!/bin/sh
export PATH=/bin
mkdir -p /proc /sys /dev /run /tmp /boot/select /data /dt
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in %(modules)s; do [ ! -e /modules/$module.ko ] || insmod /modules/$module.ko; done
export REED_BOOT_SETTINGS= REED_DT=/dt REED_CMDLINE=/dt/none REED_REBOOT=/bin/true
cell() { printf "\\\\0\\\\0\\\\0\\\\$2" >/dt/$1; }
starts() { cell partition "$1"; cell tryboot "$2"; echo 0 >/flag; }
tryboot() { echo "$*" >/dev/kmsg; sh /reed/rauc-tryboot "$@" || echo "failed: $*" >/dev/ttyS0; }
trial() { tryboot set-state "$1" bad; tryboot set-primary "$1"; starts "$2" 1; tryboot repair; }
mount -t vfat -o %(options)s /dev/vda /boot/select || echo "failed: mount" >/dev/ttyS0
starts 2 0; tryboot repair
trial B 3; tryboot set-state B good
trial A 2; tryboot set-state A good
starts 2 0
mount -o remount,rw /boot/select; echo damaged >/boot/select/autoboot.txt; mount -o remount,ro /boot/select
tryboot repair
trial B 3; tryboot set-state B good
cat /boot/select/autoboot.txt >/dev/ttyS0
echo "all done" >/dev/ttyS0
sync
echo o >/proc/sysrq-trigger
sleep 60
"""
_VCMAILBOX = """\
#!/bin/sh
[ "$1" != 0x00038064 ] || echo "$4" >/flag
echo "0x0000001c 0x80000000 $1 0x00000004 0x80000004 0x0000000$(cat /flag) 0x00000000"
"""
OPTIONS = "ro,noatime,nodev,nosuid,noexec,umask=0077"
"""As the image mounts it (ota/image, initial file system)."""


def why_not() -> str:
    """Return why nothing can be recorded here, or "" if it can."""
    if shutil.which("qemu-system-x86_64") is None:
        return "qemu-system-x86_64 is missing; install it with: apt install qemu-system-x86"
    return why_no_tree()


@dataclass(frozen=True, slots=True)
class Write:
    """Sectors that reached the disk; without any, a flush: what was before it is safe."""

    start: int
    data: bytes

    def sectors(self) -> dict[int, bytes]:
        """Return what it changes, sector by sector."""
        starts = range(0, len(self.data), SECTOR)
        return {self.start + at // SECTOR: self.data[at : at + SECTOR] for at in starts}


def record(folder: Path, partition: bytes) -> list[Write]:
    """Commit B, commit A, repair, commit B on this partition; return what was written.

    Raises:
        AssertionError: The script or the kernel failed.
    """
    tree = ready_tree("tree-kernel")
    disk, log = folder / "p1.img", folder / "p1.log"
    disk.write_bytes(partition)
    log.touch()
    (folder / "initrd").write_bytes(gzip.compress(_initial_files(tree), 1))
    [kernel] = (tree / "boot").glob("vmlinuz-*")
    logged = f"driver=blklogwrites,node-name=p1,file.driver=file,file.filename={disk}"
    logged += f",log.driver=file,log.filename={log},log-sector-size=512"
    command = ["qemu-system-x86_64", "-nodefaults", "-display", "none", "-no-reboot", "-m", "512"]
    command += ["-machine", "q35", "-accel", "tcg", "-cpu", "Westmere", "-serial", f"file:{folder}/console"]
    command += ["-kernel", kernel, "-initrd", folder / "initrd", "-append", "console=ttyS0 quiet panic=-1"]
    command += ["-blockdev", logged, "-device", "virtio-blk-pci,drive=p1,write-cache=on"]
    subprocess.run(command, check=True, timeout=BOOT_S, stdin=subprocess.DEVNULL)
    said = (folder / "console").read_text(errors="replace")
    assert "all done" in said, said[-2000:]
    assert "failed:" not in said, said[-2000:]
    return _read(log)


def crashes(writes: list[Write]) -> Iterator[dict[int, bytes]]:
    """Yield the sectors that differ from the beginning, for each state that a power cut can leave.

    What was written before a flush is on the disk; of what came after it, anything may be.
    """
    safe: dict[int, bytes] = {}
    for is_flush, group in itertools.groupby(writes, lambda write: not write.data):
        if is_flush:
            continue
        since = list(group)
        for kept in _kept(len(since)):
            state = dict(safe)
            for index in kept:
                state |= since[index].sectors()
            yield state
        for write in since:
            safe |= write.sectors()


def _kept(count: int) -> Iterator[tuple[int, ...]]:
    everything = range(count)
    if count <= _ALL_SUBSETS_OF:
        for size in range(count + 1):
            yield from itertools.combinations(everything, size)
        return
    for size in range(count + 1):
        yield tuple(everything[:size])
    for lost in everything:
        yield tuple(index for index in everything if index != lost)


def _read(log: Path) -> list[Write]:
    with log.open("rb") as file:
        magic, version, entries, sector = struct.unpack("<QQQI", file.read(28))
        assert (magic, version, sector) == (_MAGIC, 1, SECTOR)
        file.seek(SECTOR)
        found = []
        for _ in range(entries):
            start, count, flags, _ = struct.unpack("<QQQQ", file.read(SECTOR)[:32])
            if flags & _FLUSH:
                found.append(Write(0, b""))
            if count and flags & _DISCARD:
                found.append(Write(start, bytes(count * SECTOR)))
            elif count:
                found.append(Write(start, file.read(count * SECTOR)))
    return found


# --- the initial file system ----------------------------------------------------------------------------


def _initial_files(tree: Path) -> bytes:
    files = {"init": (_INIT % {"modules": _MODULES, "options": OPTIONS}).encode()}
    files["bin/vcmailbox"] = _VCMAILBOX.encode()
    files["bin/true"] = b"#!/bin/sh\n"
    for name in ("rauc-tryboot", "tryboot/firmware.sh", "tryboot/files.sh"):
        files[f"reed/{name}"] = (REPOSITORY / "ota" / name).read_bytes()
    for name in _PROGRAMS.split():
        program = next(
            path for path in (f"/usr/bin/{name}", f"/usr/sbin/{name}") if (tree / path[1:]).exists()
        )
        files[f"bin/{'sh' if name == 'dash' else name}"] = (tree / program[1:]).resolve().read_bytes()
        for library in _libraries(tree, program):
            files[library[1:]] = Path(os.path.realpath(tree / library[1:])).read_bytes()
    for name in _MODULES.split():
        for module in (tree / "usr/lib/modules").rglob(f"{name}.ko.xz"):
            files[f"modules/{name}.ko"] = lzma.decompress(module.read_bytes())
    return _cpio(files)


def _libraries(tree: Path, program: str) -> list[str]:
    loader = "/lib64/ld-linux-x86-64.so.2"
    listed = subprocess.run(
        ["chroot", tree, loader, "--list", program], capture_output=True, text=True, check=True
    )
    words = [word for line in listed.stdout.splitlines() for word in line.split() if word.startswith("/")]
    return sorted({*words, loader})


def _cpio(files: dict[str, bytes]) -> bytes:
    """Return an archive of the kind "newc" that the kernel unpacks, every file executable."""
    folders = {str(parent) for name in files for parent in Path(name).parents if str(parent) != "."}
    entries = [(name, 0o040755, b"") for name in sorted(folders)]
    entries += [(name, 0o100755, data) for name, data in files.items()]
    archive = bytearray()
    for number, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        archive += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        archive += bytes(-len(archive) % 4) + data
        archive += bytes(-len(archive) % 4)
    return bytes(archive)
