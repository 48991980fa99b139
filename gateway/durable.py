"""Files that are either as before or as wanted, whatever happens: kill, power cut, full disk.

A draft in the same folder, fsync, rename, fsync of the folder. What is made here belongs to the owner of its
folder: what root makes by hand must be readable for the user that the daemon runs as.

Every function raises OSError; then nothing has changed, or the change is done and only its fsync failed.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_LOCK = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def write(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Make `path` hold `data`; whoever reads it meanwhile sees the old content or the new, whole."""

    def draft(name: Path) -> None:
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            _give(file, path.parent)
            os.fchmod(file, mode)  # whatever the umask is
            _write_all(file, data)
            os.fsync(file)
        finally:
            os.close(file)

    _replace(path, draft)


def point(link: Path, target: str) -> None:
    """Make `link` a symbolic link to `target`; at every moment it is a link to the old or the new one."""
    _replace(link, lambda name: name.symlink_to(target))


def remove(path: Path) -> None:
    """Make sure that there is no such file or link."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def empty(path: Path) -> None:
    """Remove every file in a folder, which is no link to one."""
    with _opened_folder(path, os.O_NOFOLLOW) as opened:
        for name in sorted(os.listdir(opened)):  # noqa: PTH208  # pathlib knows no open folders
            os.unlink(name, dir_fd=opened)
        os.fsync(opened)


def folder(path: Path, mode: int = PRIVATE_FOLDER) -> None:
    """Make sure that there is such a folder; its parent must exist. By default only its owner may enter.

    One that is there is given to its owner again: whoever made it may have been cut off before.
    """
    try:
        path.mkdir(mode)
        is_new = True
    except FileExistsError:
        is_new = False
    with _opened_folder(path, os.O_NOFOLLOW) as opened:
        _give(opened, path.parent)
    if is_new:
        sync_folder(path.parent)


def open_lock(path: Path) -> int:
    """Open a file to lock, made empty if need be; nothing that it holds must survive."""
    try:
        return os.open(path, _LOCK)
    except FileNotFoundError:
        _make_lock(path)
        return os.open(path, _LOCK)


def _make_lock(path: Path) -> None:
    """Make it in one step with its owner: who came in between could otherwise never take it."""
    draft = path.with_name(f".{path.name}.{threading.get_native_id()}.new")  # unique in the whole machine
    draft.unlink(missing_ok=True)
    try:
        made = os.open(draft, _LOCK | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
        try:
            _give(made, path.parent)
        finally:
            os.close(made)
        with suppress(FileExistsError):  # somebody else was quicker
            os.link(draft, path)
    finally:
        with suppress(OSError):
            draft.unlink()


def sync_folder(path: Path) -> None:
    """Return once the names in this folder are on the disk."""
    with _opened_folder(path) as opened:
        os.fsync(opened)


@contextmanager
def _opened_folder(path: Path, flags: int = 0) -> Iterator[int]:
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | flags)
    try:
        yield opened
    finally:
        os.close(opened)


def _replace(path: Path, make: Callable[[Path], None]) -> None:
    draft = path.with_name(f".{path.name}.new")
    # not through a link: the daemon's user could lead root away
    with _opened_folder(path.parent, os.O_NOFOLLOW) as opened:
        draft.unlink(missing_ok=True)  # of somebody who was killed
        try:
            make(draft)
            draft.rename(path)
        except OSError:
            with suppress(OSError):
                draft.unlink()  # a full disk needs its space
            raise
        os.fsync(opened)


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _give(file: int, owner: Path) -> None:
    """Let the file belong to whom the folder belongs to; only root can, and only root needs to."""
    if os.geteuid() == 0:
        wanted, found = owner.stat(), os.fstat(file)
        if (found.st_uid, found.st_gid) != (wanted.st_uid, wanted.st_gid):
            os.fchown(file, wanted.st_uid, wanted.st_gid)
