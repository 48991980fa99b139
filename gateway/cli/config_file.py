"""Replacing the configuration file: a wrong one never takes its place.

The new text is written beside the old file with its owner and mode, read as the gateway would read it, and
only then put in its place; the old one stays as `<file>.bak`.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gateway.config.read import read
from gateway.errors import ConfigError, StoreError

_MODE = 0o640


def check_writable(path: Path) -> None:
    """Raise StoreError if `replace` could not write, before anybody goes to any trouble."""
    folder = path.resolve().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(f"{folder}: no permission to write the configuration there; use sudo")


def replace(path: Path, old: bytes, new: bytes) -> Path:
    """Put a new text in the place of the old one; return where the old one is kept.

    Args:
        path: The file, no link.
        old: What it holds; b"" if it does not exist.
        new: What it is to hold.

    Raises:
        ConfigError: The new text is not valid; nothing has changed.
        StoreError: The file cannot be written, or somebody else is writing it.
    """
    backup = path.with_name(f"{path.name}.bak")
    try:
        with _beside(path, new) as tried, _beside(path, old) as kept:
            _check(tried, path)
            if (path.read_bytes() if path.exists() else b"") != old:
                raise StoreError(f"{path}: was changed by somebody else just now; try again")
            if old:
                kept.replace(backup)
            tried.replace(path)
            _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: cannot be replaced: {error.strerror}") from None
    return backup


@contextlib.contextmanager
def _beside(path: Path, content: bytes) -> Iterator[Path]:
    """Write a file beside another, with its owner and mode; gone at the end unless moved away."""
    # in the same folder: relative paths inside mean the same, and the replacement is atomic
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".toml", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _own_as(path, new)
        yield new
    finally:
        new.unlink(missing_ok=True)


def _check(tried: Path, path: Path) -> None:
    """Raise ConfigError if the gateway would not take the file; it tells of `path`."""
    try:
        read(tried)
    except ConfigError as error:
        problems = ((key.replace(tried.name, path.name), problem) for key, problem in error.problems)
        raise ConfigError(*problems, file=error.file and str(path)) from None


def _own_as(model: Path, path: Path) -> None:
    """Give a file the owner and mode of another, or else of its folder: it may hold keys. Raises OSError."""
    exists = model.exists()
    status = (model if exists else model.parent).stat()
    if (path.stat().st_uid, path.stat().st_gid) != (status.st_uid, status.st_gid):
        os.chown(path, status.st_uid, status.st_gid)
    path.chmod(status.st_mode & 0o7777 if exists else _MODE)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
