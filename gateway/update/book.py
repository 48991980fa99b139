"""The present update, in memory and on disk: what is believed has been written down before."""

import logging
from dataclasses import replace
from typing import Any

from gateway.domain.update.model import State, Step, Update
from gateway.domain.update.moves import cleared
from gateway.update.ports import Clock
from gateway.update.record import Record, Saved

_log = logging.getLogger(__name__)

ON_TRIAL = frozenset({State.REBOOTING, State.VERIFYING, State.ROLLING_BACK})


class Book:
    """Keeps the one update that is under way, or the last.

    Args:
        record: Where it is kept.
        clock: Knows this boot.
        save_s: The time that is left is saved this often, though nothing else changes.
    """

    def __init__(self, record: Record, clock: Clock, save_s: float) -> None:
        self._record = record
        self._clock = clock
        self._save_s = save_s
        self._saved: Update | None = None
        self.update: Update | None = None
        self.baseline: dict[str, Any] = {}
        """What worked before the update (domain.update.health)."""
        self.rebooted = False
        """The machine has been started since the last record was written."""

    @property
    def under_way(self) -> Update | None:
        """The present update, unless it is over."""
        return None if self.update is None or self.update.state.final else self.update

    @property
    def is_on_trial(self) -> bool:
        """A new version runs, or is just to be run, and there is no verdict yet."""
        update = self.under_way
        if update is None:
            return False
        restarted = update.state is State.WAITING and update.next is Step.REBOOT and self.rebooted
        return update.state in ON_TRIAL or restarted

    def open(self) -> None:
        """Read what was saved last. Raises StoreError."""
        saved = self._record.load()
        if saved is not None:
            self.update = self._saved = saved.update
            self.baseline = saved.baseline
            self.rebooted = saved.boot_id != self._clock.boot_id
            if saved.update.state.final:
                self._record.end(saved.update)
        self._record.done()  # a damaged list is found now, not in the middle
        for trouble in self._record.troubles:
            _log.error("%s", trouble)

    def keep(self, moved: Update | None) -> None:
        """Have it on disk, then believe it. Raises StoreError; then what was believed before still is."""
        if moved is not None and self._is_news(moved):
            self._record.save(Saved(moved, self._clock.boot_id, self.baseline))
            if moved.state.final:
                self._record.end(moved)
            was, self._saved = self._saved, moved
            if was is None or (was.order.id, was.state) != (moved.order.id, moved.state):
                _say(moved)
        self.update = moved

    def _is_news(self, moved: Update) -> bool:
        saved = self._saved
        if saved is None or saved.left_s - moved.left_s > self._save_s:
            return True
        return _lasting(saved) != _lasting(moved)


def _lasting(update: Update) -> Update:
    """Return it without what changes all the time and may be lost."""
    attempts = cleared(update, "lease").attempts
    return replace(update, left_s=0.0, in_state_s=0.0, at_s=0.0, percent=0, attempts=attempts)


def _say(update: Update) -> None:
    order = update.order
    why = ": ".join(part for part in (update.code, update.detail) if part)
    said = f" ({why})" if why else ""
    _log.info("update %s, %s %s: %s%s", order.id, order.kind, order.version, update.state, said)
