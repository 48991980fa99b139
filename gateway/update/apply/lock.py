"""One applier, or guard, at a time; the kernel takes the lock back from a dead one."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.apply.files import PRIVATE_FILE

_LOOK_EVERY_S = 0.05


@contextmanager
def held(path: Path, wait_s: float) -> Iterator[None]:
    """Hold the lock. Raises UpdateError (BUSY) if somebody else still has it after `wait_s`."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE_FILE)
    deadline_s = time.monotonic() + wait_s
    try:
        while not _got(lock):
            if time.monotonic() >= deadline_s:
                raise UpdateError(Code.BUSY, "something else is being installed or restored", passing=True)
            time.sleep(_LOOK_EVERY_S)
        yield
    finally:
        os.close(lock)


def _got(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
