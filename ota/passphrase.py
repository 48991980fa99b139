"""What opens a key file: from a file, the environment, or the person at the keyboard.

There are two: one that people know, and one for the keys of snapshot and timestamp, which a machine uses by
itself. So whoever breaks into that machine finds nothing that opens the keys of releases beside them.
"""

import getpass
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ota import files
from ota.errors import OtaError

ENVIRONMENT = "REED_OTA_PASSPHRASE"
REFRESH_ENVIRONMENT = "REED_OTA_REFRESH_PASSPHRASE"
ENVIRONMENTS = frozenset({ENVIRONMENT, REFRESH_ENVIRONMENT})
LEAST = 20
"""Characters of a new one: PKCS #8 slows guessing down only a little."""


class Passphrase:
    """Asked for once, when a key first needs it.

    Args:
        file: That has the people's in its first line; None: the environment or a person is asked.
        refresh_file: That has the machine's; None: the environment, else there is none.
    """

    def __init__(self, file: Path | None = None, refresh_file: Path | None = None) -> None:
        self._file = file
        self._refresh_file = refresh_file
        self._known = ""

    def tried(self, what: str) -> Iterator[bytes]:
        """Return what may open a key, the machine's first. Raises OtaError if nobody has any."""
        refresh = self._refresh()
        if refresh:
            yield refresh.encode()
        yield self._people(what).encode()

    def new(self, what: str, *, refresh: bool = False) -> bytes:
        """Return the one for a key that is being made. Raises OtaError if it is too short, or used twice.

        Args:
            what: The key, for the question.
            refresh: It is one that a machine uses by itself.
        """
        found = self._people(what)
        if refresh:
            found = self._refresh()
            if not found:
                raise OtaError(
                    "snapshot and timestamp need a passphrase of their own, for the machine that refreshes; "
                    f"give --refresh-passphrase-file or set {REFRESH_ENVIRONMENT}"
                )
            if found == self._people(what):
                raise OtaError("the machine's passphrase must not be the people's; it would open their keys")
        if len(found) < LEAST:
            raise OtaError(f"the passphrase for {what} is too short; give at least {LEAST} characters")
        return found.encode()

    def _refresh(self) -> str:
        if self._refresh_file is not None:
            return _first_line(self._refresh_file)
        return os.environ.get(REFRESH_ENVIRONMENT, "")

    def _people(self, what: str) -> str:
        if self._known:
            return self._known
        if self._file is not None:
            self._known = _first_line(self._file)
        elif os.environ.get(ENVIRONMENT):
            self._known = os.environ[ENVIRONMENT]
        elif sys.stdin.isatty():
            self._known = getpass.getpass(f"Passphrase for {what}: ")
        else:
            raise OtaError(f"no passphrase opens {what}; give --passphrase-file or set {ENVIRONMENT}")
        if not self._known:
            raise OtaError(f"the passphrase for {what} is empty")
        return self._known


def _first_line(path: Path) -> str:
    lines = files.read(path).decode(errors="replace").splitlines()
    return lines[0].strip() if lines else ""
