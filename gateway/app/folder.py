"""The identity folder as the daemon reads it: each pair that could be used, and what tells it from others."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.app.pairs import Candidate, Role
from gateway.errors import IdentityError
from gateway.identity.keys import in_tpm
from gateway.identity.pair import Pair
from gateway.identity.slots import Slots
from gateway.identity.window import Window, window


@dataclass(frozen=True, slots=True)
class Known:
    """A pair that could be used.

    Args:
        candidate: What it is to us.
        pair: Its files.
        valid: From when to when; None if that cannot be read.
        in_tpm: Its key lies in the TPM; None if that cannot be read.
    """

    candidate: Candidate
    pair: Pair
    valid: Window | None
    in_tpm: bool | None

    def has_ended(self, now_unix_s: float | None) -> bool:
        """Whether its time is over; never without a trusted clock (None)."""
        return now_unix_s is not None and self.valid is not None and now_unix_s >= self.valid.end_unix_s


class Folder:
    """Reads the slots; every method but `pair` blocks for the disk.

    Args:
        slots: In the state folder.
    """

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self._found: dict[str, Known] = {}

    def read(self, now_unix_s: float | None) -> dict[str, Known]:
        """Return what there is, by mark; without a former pair whose time is over.

        Raises:
            IdentityError: The folder cannot be read.
        """
        found: dict[str, Known] = {}
        for role, pair in self._pairs():
            known = _known(role, pair)
            if role is not Role.FORMER or not known.has_ended(now_unix_s):
                found.setdefault(known.candidate.mark, known)
        self._found = found
        return found

    def pair(self, mark: str) -> Pair | None:
        """Return the pair of that mark, if the last `read` has found one."""
        known = self._found.get(mark)
        return None if known is None else known.pair

    def version(self) -> str:
        """Return what changes when we are to connect elsewhere or to trust others."""
        return _mark(self.slots.ca_file, self.slots.folder / "cloud.json")

    def _pairs(self) -> Iterator[tuple[Role, Pair]]:
        current, trial, spare = self.slots.current(), self.slots.trial(), self.slots.spare()
        if current is None:
            return
        if trial is not None:
            yield Role.TRIAL, trial
        yield Role.CURRENT, current
        if spare is not None and spare != trial:
            yield Role.FORMER, spare


def mark(pair: Pair) -> str:
    """Return what tells this content of a pair from any other; blocks for the disk."""
    return f"{pair.slot} {_mark(pair.cert_file, pair.key_file)}"


def _known(role: Role, pair: Pair) -> Known:
    # whoever uses the pair will say what is wrong with a file
    try:
        valid = window(pair.cert_file.read_bytes())
    except OSError:
        valid = None
    try:
        tpm = in_tpm(pair.key_file)
    except IdentityError:
        tpm = None
    return Known(Candidate(role, mark(pair)), pair, valid, tpm)


def _mark(*files: Path) -> str:
    return " ".join(_mark_of(file) for file in files)


def _mark_of(file: Path) -> str:
    try:
        found = os.stat(file)  # noqa: PTH116  # one call for all three
    except OSError:
        return "-"
    return f"{found.st_ino}.{found.st_size}.{found.st_mtime_ns}"
