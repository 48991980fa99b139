"""The runner's small files, which belong to their folder's owner; its group may look."""

from pathlib import Path

from gateway import durable
from gateway.errors import StoreError

sync_folder = durable.sync_folder

_FILE, _FOLDER = 0o640, 0o750


def write(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, whole or not at all, on the disk on return. Raises StoreError."""
    try:
        durable.write(path, data, _FILE)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from None


def remove(path: Path) -> None:
    """Make sure that there is no such file, also after a power cut. Raises StoreError."""
    try:
        durable.remove(path)
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
    """Return the folder, made if need be. Raises StoreError."""
    try:
        if not path.is_dir():
            if not path.parent.is_dir():
                folder(path.parent)
            durable.folder(path, _FOLDER)
    except OSError as error:
        raise StoreError(f"{path}: cannot be made: {error.strerror or error}; use sudo") from None
    return path
