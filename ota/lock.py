"""One `reed-ota` at a time changes a repository: cron refreshes it while somebody releases."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ota.errors import OtaError


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have the repository for ourselves; waits for whoever has it. Raises OtaError if there is none."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise OtaError(f"{folder}: {error.strerror}; make a repository with `reed-ota init`") from None
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"{folder}: waiting for another reed-ota\n")
            fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)
