"""A small disk of its own for a folder of a booted machine: an ext4 file system on a loop device.

It is mounted where the machine is held, not in the machine: a power cut of the machine does not unmount it.
What was not synchronised by then is dropped as by a disk without power (EXT4_IOC_SHUTDOWN without a log
flush, as in the tests of Linux's file systems); what the device was given and not told to flush survives.
"""

import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path

from tests.system.harness.boot import Booted

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2
_RELEASED_S = 10.0


class Disk:
    """Made while the machine is off.

    Args:
        machine: Whose disk it is.
        mounted_on: The folder of the machine that it becomes.
        size_bytes: A multiple of a MiB.
    """

    def __init__(self, machine: Booted, mounted_on: str, size_bytes: int) -> None:
        self._machine = machine
        self._image = machine._folder / f"disk-{size_bytes}.img"
        self._place = machine._folder / "root" / mounted_on.lstrip("/")
        self.device = ""
        owner = self._held(self._place).stat() if self._held(self._place).exists() else None
        self._run("truncate", f"--size={size_bytes}", self._image)
        self._run("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", self._image)
        self._run("mkdir", "-p", self._place)
        self.mount()
        if owner is not None:
            os.chown(self.folder, owner.st_uid, owner.st_gid)
            self.folder.chmod(owner.st_mode & 0o7777)

    @property
    def folder(self) -> Path:
        """Where this host sees what is on it."""
        return self._held(self._place)

    def mount(self, options: str = "loop") -> None:
        """Mount it, without any check before. Raises AssertionError if the kernel refuses."""
        self._run("mount", "-t", "ext4", "-o", options, self._image, self._place)
        self.device = self._run("findmnt", "-no", "SOURCE", self._place).strip().removeprefix("/dev/")

    def unmount(self) -> None:
        """Unmount it, and return when the kernel has let go of it."""
        self._run("umount", self._place)
        deadline_s = time.monotonic() + _RELEASED_S
        while Path(f"/sys/fs/ext4/{self.device}").exists():
            assert time.monotonic() < deadline_s, f"somebody still holds {self.device}"
            time.sleep(0.01)

    def remount(self, how: str) -> None:
        """Make this disk and the root beside it "ro" or "rw", while the machine is off."""
        self._run("mount", "-o", f"remount,{how}", self._place)
        self._run("mount", "-o", f"remount,bind,{how}", self._machine._folder / "root")

    def cut_power(self) -> None:
        """From now on nothing reaches it, and what was not synchronised is lost; the machine sees errors."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(folder, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def fill(self) -> None:
        """Leave no space, as somebody else's file does."""
        with (self.folder / "ballast").open("wb", buffering=0) as ballast:
            for step_bytes in (65536, 1024):
                try:
                    while ballast.write(bytes(step_bytes)) == step_bytes:
                        pass
                except OSError:  # no space for so much
                    continue

    def free(self) -> None:
        """End `fill`."""
        (self.folder / "ballast").unlink()

    @property
    def written_bytes(self) -> int:
        """Bytes written to the device since it was attached."""
        return int(Path(f"/sys/block/{self.device}/stat").read_text().split()[6]) * 512

    def problems(self) -> str:
        """Return what e2fsck finds on the unmounted disk, without mending it; "" if nothing."""
        done = subprocess.run(
            ["e2fsck", "-fn", self._held(self._image)], capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr if done.returncode else ""

    def _held(self, path: Path) -> Path:
        return Path(f"/proc/{self._machine._held}/root") / str(path).lstrip("/")

    def _run(self, *words: str | Path) -> str:
        done = subprocess.run(
            [*self._machine._inside_holder(), *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout
