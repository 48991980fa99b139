"""Files that are either as before or as wanted, whatever happens: kill, power cut, full disk.

A draft in the same folder, fsync, rename, fsync of the folder. What is made here belongs to the owner of its
folder: what root makes by hand must be readable for the user that the daemon runs as.

Every function raises OSError; then nothing has changed, or the change is done and only its fsync failed.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def write(path: Path, data: bytes, mode: int = PRIVATE_FILE) -> None:
    """Make `path` hold `data`; whoever reads it meanwhile sees the old content or the new, whole."""

    def draft(name: Path) -> None:
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            _give(file, path.parent)
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
    """Remove every file in a folder."""
    for file in sorted(path.iterdir()):
        file.unlink()
    sync_folder(path)


def folder(path: Path) -> None:
    """Make sure that there is such a folder, which only its owner may enter; its parent must exist."""
    try:
        path.mkdir(PRIVATE_FOLDER)
    except FileExistsError:
        return
    with _opened_folder(path) as made:
        _give(made, path.parent)
    sync_folder(path.parent)


def open_lock(path: Path) -> int:
    """Open a file to lock, made empty if need be; nothing that it holds must survive."""
    try:
        return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
        _give(lock, path.parent)
        return lock


def sync_folder(path: Path) -> None:
    """Return once the names in this folder are on the disk."""
    with _opened_folder(path) as opened:
        os.fsync(opened)


@contextmanager
def _opened_folder(path: Path) -> Iterator[int]:
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        os.close(opened)


def _replace(path: Path, make: Callable[[Path], None]) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)  # of somebody who was killed
    try:
        make(draft)
        draft.rename(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()  # a full disk needs its space
        raise
    sync_folder(path.parent)


def _write_all(file: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _give(file: int, owner: Path) -> None:
    """Let the file belong to whom the folder belongs to; only root can, and only root needs to."""
    if os.geteuid() == 0:
        wanted = owner.stat()
        os.fchown(file, wanted.st_uid, wanted.st_gid)
