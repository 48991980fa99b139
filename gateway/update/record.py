"""What must survive a power cut: the present update, and those that are over, with who knows of it.

record.json  the present update or the last; written before anything is done about it
done.json    the last ones that are over: an id is never done twice, a report is never lost
progress     percent of the present state, for people; may be lost
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gateway.domain.update.model import Update
from gateway.errors import StoreError
from gateway.update import keep

RECORD, DONE, PROGRESS, LOCK = "record.json", "done.json", "progress", "runner.lock"
KEPT = 50
"""Updates that are over; older ones are forgotten, but never before everybody was told."""

_MAX_BYTES = 16 << 20

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Saved:
    """The present update, or the last.

    Args:
        update: How far it has come.
        boot_id: Of the boot in which this was written.
        baseline: What worked before it was installed (domain.update.health); empty before that.
    """

    update: Update
    boot_id: str
    baseline: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """An update that is over, and the names of those who have been told."""

    update: Update
    told: tuple[str, ...] = ()


class Record:
    """The files of the runner.

    Args:
        folder: Its own, e.g. /var/lib/reed/update; made when something is first written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.troubles: list[str] = []
        """Files that could not be understood and were put aside, one line each."""

    def load(self) -> Saved | None:
        """Return what was saved last. Raises StoreError if the disk does not give it."""
        return self._parse(RECORD, Saved)

    def save(self, saved: Saved) -> None:
        """Keep it. Raises StoreError; then the step is not to be taken."""
        self._write(RECORD, saved)

    def done(self) -> list[Ended]:
        """Return the updates that are over, oldest first. Raises StoreError."""
        return self._parse(DONE, list[Ended]) or []

    def find(self, update_id: str) -> Ended | None:
        """Return the update of this id if it is over. Raises StoreError."""
        return next((ended for ended in self.done() if ended.update.order.id == update_id), None)

    def end(self, update: Update) -> None:
        """Add one that is over; nobody knows yet. Raises StoreError."""
        there = self.done()
        if all(ended.update.order.id != update.order.id for ended in there):
            self._write(DONE, _newest([*there, Ended(update)]))

    def told(self, update_id: str, name: str) -> None:
        """Remember that `name` knows of its end. Raises StoreError."""
        there = self.done()
        marked = [
            replace(ended, told=(*ended.told, name))
            if ended.update.order.id == update_id and name not in ended.told
            else ended
            for ended in there
        ]
        if marked != there:
            self._write(DONE, marked)

    def show_percent(self, percent: int) -> None:
        """Let people see it; not worth a write to the card's cells each time, so it is not synced."""
        with suppress(OSError):
            (self.folder / PROGRESS).write_text(f"{percent}\n")

    @contextmanager
    def only_one(self) -> Iterator[bool]:
        """Hold the lock of the one runner that may work; yields False if another one holds it.

        Raises:
            StoreError: The folder cannot be written.
        """
        keep.folder(self.folder)
        try:
            lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise StoreError(f"{self.folder / LOCK}: {error.strerror or error}") from None
        try:
            yield _got(lock)
        finally:
            os.close(lock)

    def _write(self, name: str, value: object) -> None:
        keep.folder(self.folder)
        keep.write(self.folder / name, msgspec.json.encode(value))

    def _parse(self, name: str, kind: type[_T]) -> _T | None:
        path = self.folder / name
        data = keep.read(path, _MAX_BYTES)
        if not data:
            return None
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            self._put_aside(path, str(error))
            return None

    def _put_aside(self, path: Path, why: str) -> None:
        aside = path.with_name(f"{path.name}.bad")
        with suppress(OSError):
            path.replace(aside)
        self.troubles.append(f"{path}: cannot be understood ({why}); it is kept as {aside.name}")


def _newest(ended: Sequence[Ended]) -> list[Ended]:
    """Return the last ones, and those before that somebody still has to be told of."""
    return [one for at, one in enumerate(ended) if at >= len(ended) - KEPT or not one.told]


def _got(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
