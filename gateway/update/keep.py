"""Small files that are as before or as wanted, whatever happens; they belong to their folder's owner."""

import os
from contextlib import suppress
from pathlib import Path

from gateway.errors import StoreError


def write(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, whole or not at all, on the disk on return. Raises StoreError."""
    draft = path.with_name(f".{path.name}.new")
    try:
        draft.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(draft, flags, 0o640), "wb") as stream:
            _give(stream.fileno(), path.parent)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()  # a full disk needs its space
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from None


def remove(path: Path) -> None:
    """Make sure that there is no such file, also after a power cut. Raises StoreError."""
    try:
        path.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: cannot be removed: {error.strerror or error}") from None


def read(path: Path, max_bytes: int = 1 << 20) -> bytes:
    """Return what is in a file; nothing if it is not there. Raises StoreError."""
    try:
        with path.open("rb") as stream:
            return stream.read(max_bytes)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from None


def folder(path: Path) -> Path:
    """Return the folder, made if need be, which its group may look into. Raises StoreError."""
    try:
        if not path.is_dir():
            path.mkdir(mode=0o750, parents=True, exist_ok=True)
            opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                _give(opened, path.parent)
            finally:
                os.close(opened)
    except OSError as error:
        raise StoreError(f"{path}: cannot be made: {error.strerror or error}; use sudo") from None
    return path


def sync_folder(path: Path) -> None:
    """Return once the names in this folder are on the disk. Raises OSError."""
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _give(file: int, owner: Path) -> None:
    """What root makes by hand must be readable for the user that the runner runs as."""
    if os.geteuid() == 0:
        wanted = owner.stat()
        os.fchown(file, wanted.st_uid, wanted.st_gid)
