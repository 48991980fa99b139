"""Room on the disk for what is fetched or brought."""

import logging
import os
from pathlib import Path

from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update import former

_log = logging.getLogger(__name__)
_MIB = 1 << 20


def make(targets: Path, length_bytes: int, reserve_bytes: int, besides: str = "") -> None:
    """Return if so much fits and the reserve remains; the former system goes first if it stands in the way.

    Args:
        targets: The spool's folder.
        length_bytes: That are to be written.
        reserve_bytes: Of the disk, which stay free.
        besides: Name of the file that is wanted, and not the former one.

    Raises:
        UpdateError: NO_SPACE (passing).
        OSError: The disk cannot be asked.
    """
    needed_bytes = length_bytes + reserve_bytes
    if _free_bytes(targets) < needed_bytes and former.forget(targets, besides):
        _log.info("the former system was removed: the disk lacks room for the next one")
    if (free_bytes := _free_bytes(targets)) < needed_bytes:
        detail = f"{targets} has {free_bytes // _MIB} MiB free; {needed_bytes // _MIB} MiB are needed"
        raise UpdateError(Code.NO_SPACE, detail, passing=True)


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
