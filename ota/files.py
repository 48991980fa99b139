"""Files that are written whole or not at all."""

import hashlib
import os
import shutil
from pathlib import Path

from ota.errors import OtaError

_CHUNK_BYTES = 1 << 20


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Make `path` hold `data`, on the disk on return. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    _sync(path.parent)


def copy(source: Path, to: Path) -> None:
    """Make `to` a copy of `source`, whole or not at all. Raises OSError."""
    to.parent.mkdir(parents=True, exist_ok=True)
    draft = to.with_name(f".{to.name}.new")
    with source.open("rb") as given, draft.open("wb") as taken:
        shutil.copyfileobj(given, taken, _CHUNK_BYTES)
        taken.flush()
        os.fsync(taken.fileno())
    draft.rename(to)
    _sync(to.parent)


def sha256(path: Path) -> str:
    """Return the digest of a file in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def read(path: Path) -> bytes:
    """Return what is in a file. Raises OtaError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise OtaError(f"{path}: {error.strerror or error}") from None


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
