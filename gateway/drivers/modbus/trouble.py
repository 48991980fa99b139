"""Why a serial port cannot be had, in words: the library only says that it cannot."""

import errno
import fcntl
import os
import stat
from contextlib import closing
from pathlib import Path

_ADVICE = {
    errno.ENOENT: "gone; check the cable",
    errno.ENODEV: "gone; check the cable",
    errno.ENXIO: "gone; check the cable",
    errno.EIO: "gone; check the cable",
    errno.EACCES: "no permission; the user must be in the group that owns it (dialout)",
    errno.EPERM: "no permission; the user must be in the group that owns it (dialout)",
    errno.EBUSY: "in use by another program, which has it for itself alone",
}


def of(device: Path, error: Exception | None = None) -> str:
    """Return what is wrong with a port that does not open or has gone away; may block."""
    try:
        fd = os.open(device, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as refused:
        code = refused.errno or 0
        return f"{device}: {_ADVICE.get(code, f'cannot be opened: {refused.strerror}')}"
    with closing(os.fdopen(fd, "rb", buffering=0)):
        if not stat.S_ISCHR(os.fstat(fd).st_mode) or not os.isatty(fd):
            return f"{device}: is no serial port; name one as /dev/ttyUSB0 or below /dev/serial/by-id"
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return f"{device}: held by {_holder(fd)}; two programs cannot share a bus"
    return f"{device}: cannot be set up: {error}" if error else f"{device}: went away; check the cable"


def _holder(fd: int) -> str:
    """Return who holds the lock on the file, as far as one can see."""
    status = os.fstat(fd)
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        pids = [line.split()[4] for line in locks if f" {place} " in line and "FLOCK" in line]
        pid = next(pid for pid in pids if int(pid) > 0)
        if int(pid) == os.getpid():
            return "a former attempt of this program, which has not let go yet"
        name = Path("/proc", pid, "comm").read_text(encoding="utf-8", errors="replace").strip()
    except (OSError, ValueError, IndexError, StopIteration):
        return "another program"
    return f"{name} (process {pid})"
