"""One supervisor for one home, and its process id for whoever wants to know."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from cloud.errors import ServiceError
from cloud.home import Home

_NAME = "reed-cloud"


@contextmanager
def alone(home: Home) -> Iterator[None]:
    """Hold the home for this process; pid files and sockets of a former life are removed.

    Raises:
        ServiceError: Another process holds it.
        OSError: The folder cannot be written.
    """
    home.run.mkdir(mode=0o700, exist_ok=True)
    with (home.run / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(f"{home.folder}: reed-cloud runs there already{_who(home)}") from None
        for stale in home.run.iterdir():
            if stale.name != "lock" and not stale.is_dir():
                stale.unlink()
        pid_file = home.pid_file(_NAME)
        pid_file.write_text(f"{os.getpid()}\n")
        try:
            yield
        finally:
            pid_file.unlink(missing_ok=True)


def is_running(home: Home) -> bool:
    """Return whether a supervisor holds the home."""
    try:
        with (home.run / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _who(home: Home) -> str:
    try:
        return f" (process {int(home.pid_file(_NAME).read_text())})"
    except (OSError, ValueError):
        return ""
