"""Root's own folders, and files copied from others without following them anywhere."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from gateway.domain.update.model import Code
from gateway.errors import UpdateError

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
_CHUNK_BYTES = 1 << 20
_RESERVE_BYTES = 16 << 20
"""Stays free for everybody else."""


def sync(path: Path) -> None:
    """Return once what a file holds is on the disk. Raises OSError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def folder(path: Path) -> Path:
    """Return the folder, made if need be, which nobody but its owner may enter. Raises OSError."""
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    path.chmod(PRIVATE_FOLDER)
    return path


def take(source: Path, to: Path, length_bytes: int) -> None:
    """Copy a file of somebody else's: what is verified afterwards cannot be exchanged any more.

    Raises:
        UpdateError: UNREACHABLE if it is not there, UNTRUSTED if it is no plain file of that length,
            NO_SPACE.
    """
    require_space(to.parent, length_bytes)
    try:
        # not through a link, and without waiting for the other end of a pipe
        given = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UpdateError(Code.UNREACHABLE, f"{source.name} has not been fetched", passing=True) from None
    except OSError as error:
        raise UpdateError(Code.UNTRUSTED, f"{source.name} cannot be taken: {error.strerror}") from None
    try:
        found = os.fstat(given)
        if not stat.S_ISREG(found.st_mode) or found.st_size != length_bytes:
            raise UpdateError(Code.UNTRUSTED, f"{source.name} is not the file of {length_bytes} bytes")
        _copy(given, to, length_bytes)
    finally:
        os.close(given)


def _copy(given: int, to: Path, length_bytes: int) -> None:
    to.unlink(missing_ok=True)
    try:
        taken = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
        with os.fdopen(taken, "wb") as stream:
            left = length_bytes
            while left and (chunk := os.read(given, min(left, _CHUNK_BYTES))):
                left -= stream.write(chunk)
            stream.flush()
            os.fsync(taken)
    except OSError as error:
        with suppress(OSError):
            to.unlink()
        raise UpdateError(
            Code.NO_SPACE, f"{to.name} cannot be kept: {error.strerror}", passing=True
        ) from None


def require_space(place: Path, length_bytes: int) -> None:
    """Raise UpdateError (NO_SPACE) unless so much fits, and something is left."""
    disk = os.statvfs(place)
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < length_bytes + _RESERVE_BYTES:
        needed_mib = (length_bytes + _RESERVE_BYTES) / (1 << 20)
        free_mib = free_bytes / (1 << 20)
        detail = f"{place} has {free_mib:.0f} MiB free; {needed_mib:.0f} MiB are needed"
        raise UpdateError(Code.NO_SPACE, detail, passing=True)
