"""Secrets laid open in memory, where the daemon reads them; it starts without them, too (ADR 15)."""

import contextlib
import os
from pathlib import Path

from gateway import durable
from gateway.errors import IdentityError, TpmError
from gateway.identity.secrets import NAME, Secrets, changing

_FOLDER_MODE = 0o755


class Opened:
    """The folder in memory from which the daemon reads.

    Args:
        folder: `<runtime_dir>/secrets`.
        owner: A folder of the daemon's user: whose it is, this one is, too.
    """

    def __init__(self, folder: Path, owner: Path) -> None:
        self._folder, self._owner = folder, owner

    def put(self, name: str, secret: bytes) -> None:
        """Lay a secret open. Raises IdentityError."""
        with changing(self._folder):
            self._make()
            durable.write(self._folder / name, secret)

    def take(self, name: str) -> None:
        """Take a secret away, if it is there. Raises IdentityError."""
        with changing(self._folder):
            if self._folder.exists():
                durable.remove(self._folder / name)

    def names(self) -> frozenset[str]:
        """Return what lies open; nothing for a user who may not look."""
        with contextlib.suppress(OSError):
            return frozenset(path.name for path in self._folder.iterdir() if NAME.fullmatch(path.name))
        return frozenset()

    def is_in_memory(self, mounts: Path = Path("/proc/self/mounts")) -> bool:
        """Return False if what lies here is certainly written to a disk."""
        try:
            lines = [line.split() for line in mounts.read_text().splitlines()]
        except OSError:
            return True
        here = self._folder.resolve()
        kinds = {Path(line[1]): line[2] for line in lines if here.is_relative_to(line[1])}
        return not kinds or kinds[max(kinds, key=lambda path: len(path.parts))] in ("tmpfs", "ramfs")

    def _make(self) -> None:
        above = self._folder.parent
        if not above.exists():
            above.mkdir(_FOLDER_MODE, parents=True)
            if os.geteuid() == 0 and self._owner.exists():
                whose = self._owner.stat()
                os.chown(above, whose.st_uid, whose.st_gid)
        durable.folder(self._folder)


def open_all(secrets: Secrets, opened: Opened) -> dict[str, str]:
    """Lay all secrets open; return why those that stay closed do, by name.

    What cannot be opened now stays open if it is. A TPM that does not answer is asked once and no more.

    Raises:
        IdentityError: The folder of secrets cannot be read.
    """
    problems: dict[str, str] = {}
    dead = ""
    for entry in secrets.list():
        if dead and entry.sealed_by == "tpm":
            problems[entry.name] = dead
            continue
        try:
            opened.put(entry.name, secrets.open(entry.name))
        except TpmError as error:
            dead = problems[entry.name] = str(error)
        except IdentityError as error:
            problems[entry.name] = str(error)
    return problems


def take_credentials(folder: Path, opened: Opened) -> list[str]:
    """Lay open what systemd hands over in $CREDENTIALS_DIRECTORY, too; return the names.

    Raises:
        IdentityError: They cannot be read or laid open.
    """
    with changing(folder):
        found = [path for path in sorted(folder.iterdir()) if NAME.fullmatch(path.name) and path.is_file()]
        for path in found:
            opened.put(path.name, path.read_bytes().strip())
    return [path.name for path in found]
