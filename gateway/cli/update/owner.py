"""Who works by hand is root; what he leaves must belong to the gateway's user, and lead root nowhere."""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import StoreError


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Do the rest as the user to whom this folder belongs, if we are root.

    Raises:
        StoreError: There is no such folder.
    """
    try:
        owner = folder.stat()
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}; was the gateway ever started?") from None
    if os.geteuid() != 0 or owner.st_uid == 0:
        yield
        return
    groups = os.getgroups()
    os.setgroups(_groups(owner.st_uid, owner.st_gid))
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _groups(uid: int, gid: int) -> list[int]:
    """Return his groups: the one of the TPM may be among them."""
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return [gid]
