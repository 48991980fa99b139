"""The identity folder as the daemon reads it: each pair that could be used, and what tells it from others."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from gateway.app.certificate_file import head
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
            if not _are_files(pair):
                continue
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
        current = self.slots.current()
        trial, spare = _readable(self.slots.trial), _readable(self.slots.spare)
        if trial is not None:
            yield Role.TRIAL, trial
        if current is not None:
            yield Role.CURRENT, current
        if spare is not None and spare != trial:
            yield Role.FORMER, spare


def _readable(find: Callable[[], Pair | None]) -> Pair | None:
    """Return the pair that is there; one that cannot be read takes nothing from the others."""
    with suppress(IdentityError):
        return find()
    return None


def _are_files(pair: Pair) -> bool:
    """Whether reading them ends: OpenSSL would wait for a pipe, and read a device for ever."""
    with suppress(OSError):
        return all(S_ISREG(file.stat().st_mode) for file in (pair.cert_file, pair.key_file))
    return False


def mark(pair: Pair) -> str:
    """Return what tells this content of a pair from any other; blocks for the disk."""
    return f"{pair.slot} {_mark(pair.cert_file, pair.key_file)}"


def _known(role: Role, pair: Pair) -> Known:
    # whoever uses the pair will say what is wrong with a file
    try:
        valid = window(head(pair.cert_file))
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
        found = file.stat()
    except OSError:
        return "-"
    return f"{found.st_ino}.{found.st_size}.{found.st_mtime_ns}"
