"""Whoever changes the identity folder holds its lock; the kernel takes it back from a dead process."""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway import durable
from gateway.errors import BusyError, IdentityError

_LOOK_EVERY_S = 0.05
_ADVICE = {
    errno.EACCES: "; try with sudo",
    errno.EPERM: "; try with sudo",
    errno.ENOSPC: "; free some space on that disk",
    errno.EROFS: "; restart the machine, and replace the card if that does not help",
    errno.EIO: "; the card fails: replace it",
}


class Lock:
    """The file `lock` in a folder, which is made if need be."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine = threading.RLock()
        self._depth = 0

    @contextmanager
    def held(self, wait_s: float = 0.0) -> Iterator[None]:
        """Hold it. The same thread may enter the same object again.

        Raises:
            BusyError: Somebody else still has it after `wait_s`.
            IdentityError: The folder cannot be written.
        """
        if not self._mine.acquire(timeout=max(0.0, wait_s)):
            raise BusyError(f"{self._folder}: another part of this process works there; try again later")
        try:
            taken = None if self._depth else self._take(time.monotonic() + wait_s)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if taken is not None:
                    os.close(taken)
        finally:
            self._mine.release()

    def _take(self, deadline_s: float) -> int:
        try:
            durable.folder(self._folder)
            lock = durable.open_lock(self._folder / "lock")
        except OSError as error:
            raise problem(self._folder, error) from None
        while not _got(lock):
            if time.monotonic() >= deadline_s:
                holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
                os.close(lock)
                raise BusyError(f"{self._folder}: process {holder} works there; try again when it has ended")
            time.sleep(_LOOK_EVERY_S)
        with suppress(OSError):  # only a word for whoever comes second
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return lock


def _got(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def problem(path: Path, error: OSError) -> IdentityError:
    """Return the error in one line: which file, what, and what to do."""
    advice = _ADVICE.get(error.errno or 0, "")
    return IdentityError(f"{error.filename or path}: {error.strerror or error}{advice}")
