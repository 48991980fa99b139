"""Opens what somebody else has put there: plain files only, through no link, waiting for nobody."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: Path) -> BinaryIO:
    """Return the file, open for reading without a buffer. Raises OSError, also for all that is no file."""
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise OSError(errno.EINVAL, "it is no plain file")
    return os.fdopen(opened, "rb", buffering=0)
