"""One gateway for one set of lines: two that run on the same configuration would fight over the valves."""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.errors import DriverError

log = logging.getLogger(__name__)

NAME = "gateway.lock"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the lock in this folder; the kernel releases it however the process ends.

    A folder that cannot be written is logged and stops nothing.

    Raises:
        DriverError: Another gateway holds it.
    """
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        log.error("no lock against a second gateway: %s", error)  # noqa: TRY400
        yield
        return
    try:
        _take(lock, folder / NAME)
        yield
    finally:
        os.close(lock)


def _take(lock: int, path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip()
        raise DriverError(f"{path}: another gateway (process {holder}) runs; stop it first") from None
    except OSError as error:
        log.error("no lock against a second gateway: %s", error)  # noqa: TRY400
        return
    with suppress(OSError):  # only a word for whoever comes second
        os.truncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
