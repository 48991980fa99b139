"""The beginning of a download on the disk, written in large pieces."""

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gateway.domain.update.model import Code
from gateway.errors import UpdateError

PIECE_BYTES: Final = 256 << 10
"""An SD card writes blocks of about this size; small writes wear it and keep others waiting."""
_SYNC_BYTES: Final = 8 << 20
"""Nobody else's fsync has to wait for more than this of ours."""
_WHOLE_PERCENT: Final = 100


class Stopped(Exception):  # noqa: N818  # nothing went wrong
    """The caller wanted the download to stop; what has come stays for the next time."""


class Part:
    """A file that grows to `length_bytes`, never beyond. Its methods raise OSError.

    Args:
        path: Of the file; what it holds is the beginning.
        length_bytes: That it shall have.
        stop: Asked before each piece.
        on_percent: Told when it has grown by another percent.
    """

    def __init__(
        self, path: Path, length_bytes: int, stop: Callable[[], bool], on_percent: Callable[[int], None]
    ) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o640)
        self._length_bytes = length_bytes
        self._stop = stop
        self._on_percent = on_percent
        self._piece = bytearray()
        self._written_bytes = os.fstat(self._file).st_size
        self._unsynced_bytes = 0
        self._percent = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._write()
            os.fsync(self._file)
        except OSError:
            if error is None:
                raise
        finally:
            os.close(self._file)

    @property
    def size_bytes(self) -> int:
        """How much has come so far."""
        return self._written_bytes + len(self._piece)

    def restart(self) -> None:
        """Begin anew."""
        self._piece.clear()
        os.ftruncate(self._file, 0)
        self._written_bytes = 0

    def take(self, data: bytes) -> None:
        """Append what has come.

        Raises:
            UpdateError: It would be longer than what was signed (UNTRUSTED).
            Stopped: `stop` said so.
        """
        if self.size_bytes + len(data) > self._length_bytes:
            self.restart()
            detail = f"the server sends more than the {self._length_bytes} bytes that were signed"
            raise UpdateError(Code.UNTRUSTED, detail)
        self._piece += data
        if len(self._piece) >= PIECE_BYTES:
            self._write()
            if self._stop():
                raise Stopped

    def _write(self) -> None:
        while self._piece:
            written = os.write(self._file, self._piece)
            self._written_bytes += written
            self._unsynced_bytes += written
            del self._piece[:written]  # what is on the disk is not written again after an error
        if self._unsynced_bytes >= _SYNC_BYTES:
            os.fdatasync(self._file)
            self._unsynced_bytes = 0
        self._tell()

    def _tell(self) -> None:
        percent = self._written_bytes * _WHOLE_PERCENT // max(1, self._length_bytes)
        if percent != self._percent:
            self._percent = percent
            self._on_percent(percent)
