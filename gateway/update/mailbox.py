"""What a person at this machine asks of the runner: files that the command line writes and the runner takes.

asked/order.json    wanted; taken away once the runner has it in its own record
asked/cancel.json   {"id": ...} is no longer wanted
asked/undo.json     {"id": ...} is to be undone while it is on trial
paused.json         until when nothing is begun
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.domain.update.model import Order, Update
from gateway.errors import StoreError, UpdateError
from gateway.update import keep

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing is begun until then; both None: until somebody ends it.

    Args:
        until_unix_s: By the wall clock.
        boot_id: Of the boot that `until_mono_s` belongs to: there, the wall clock is not needed.
        until_mono_s: Monotonic seconds.
    """

    until_unix_s: float | None = None
    boot_id: str = ""
    until_mono_s: float | None = None

    def left_s(self, now_s: float, boot_id: str, now_unix_s: float | None) -> float:
        """Return how long it still holds; infinite if nobody can say.

        Args:
            now_s: Monotonic seconds.
            boot_id: Of this boot.
            now_unix_s: None while the clock is not to be trusted.
        """
        if self.until_mono_s is not None and boot_id == self.boot_id:
            return max(0.0, self.until_mono_s - now_s)
        if self.until_unix_s is None or now_unix_s is None:
            return float("inf")
        return max(0.0, self.until_unix_s - now_unix_s)


class _Named(msgspec.Struct, frozen=True):
    id: str


class Mailbox:
    """Both ends of it.

    Args:
        folder: Of the runner.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked = folder / "asked"

    # --- people -------------------------------------------------------------------------------------

    def ask(self, order: Order) -> None:
        """Want this. Raises StoreError."""
        self._put("order", order)

    def cancel(self, update_id: str) -> None:
        """Want it no longer. Raises StoreError."""
        self._put("cancel", _Named(update_id))

    def undo(self, update_id: str) -> None:
        """Want the former version back. Raises StoreError."""
        self._put("undo", _Named(update_id))

    def pause(self, pause: Pause | None) -> None:
        """Begin nothing until then; None: go on. Raises StoreError."""
        keep.folder(self._folder)
        path = self._folder / "paused.json"
        if pause is None:
            keep.remove(path)
        else:
            keep.write(path, msgspec.json.encode(pause))

    def _put(self, name: str, value: object) -> None:
        keep.folder(self._folder)
        keep.folder(self._asked)
        keep.write(self._asked / f"{name}.json", msgspec.json.encode(value))

    # --- the runner ---------------------------------------------------------------------------------

    def order(self) -> Order | None:
        """Return what is wanted; it stays until `take_order`."""
        return _parsed(self._asked / "order.json", Order)

    def take_order(self) -> None:
        """The runner has it in its record. Raises StoreError."""
        keep.remove(self._asked / "order.json")

    def take_named(self, name: str, update_id: str) -> bool:
        """Return whether this is asked for the update ("cancel", "undo"), and forget that it was."""
        path = self._asked / f"{name}.json"
        found = _parsed(path, _Named)
        if found is None:
            return False
        try:
            keep.remove(path)
        except StoreError:
            return found.id == update_id  # asked again next time, which changes nothing
        return found.id == update_id

    def paused(self) -> Pause | None:
        """Return the pause, if there is one; one that cannot be read holds."""
        path = self._folder / "paused.json"
        found = _parsed(path, Pause)
        return Pause() if found is None and path.exists() else found


class LocalSource:
    """Updates that somebody at this machine wants."""

    name = "local"

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def order(self) -> Order | None:
        """Return what is wanted now."""
        return self._mailbox.order()

    async def cancelled(self, order_id: str) -> bool:  # noqa: ARG002  # the port has it
        """Return False: the runner looks there itself, as anybody's update may be cancelled here."""
        return False

    async def report(self, update: Update) -> None:
        """People read the record; what is in it need not be asked for again."""
        found = self._mailbox.order()
        if found is not None and found.id == update.order.id:
            try:
                self._mailbox.take_order()
            except StoreError as error:
                raise UpdateError("no_space", str(error), passing=True) from None


def _parsed(path: Path, kind: type[_T]) -> _T | None:
    try:
        data = keep.read(path)
        return msgspec.json.decode(data, type=kind) if data else None
    except (StoreError, msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
