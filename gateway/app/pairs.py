"""Which of our certificates to connect with next. Pure.

    trial --- works ----> it is the current one from now on
      |  +--- refused --> never again; current at once
      +------ fails ----> current at once; the trial again with the next attempt, or some time after one works
    current - refused --> the former pair, if it is still there: a last resort

A network that fails says nothing about a certificate. But a broker that ends the connection without a word,
again and again, and takes the current pair each time, has spoken as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

FIRST_WAIT_S: Final = 60.0
LONGEST_WAIT_S: Final = 3600.0
PATIENCE: Final = 5
"""A new pair that fails so often without a reason, while the current one works each time, is given up."""


class Role(StrEnum):
    """What a pair is to us; the best to try first."""

    TRIAL = "trial"
    CURRENT = "current"
    FORMER = "former"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair that could be used.

    Args:
        role: What it is to us.
        mark: Tells this content of its files from any other.
    """

    role: Role
    mark: str


class Choice:
    """Remembers what came of earlier attempts; forgets it with the daemon."""

    def __init__(self) -> None:
        self._candidates: Sequence[Candidate] = ()
        self._tried: set[str] = set()
        self._given_up: set[str] = set()
        self._current_refused = False
        self._has_current = True
        self._failed_trial = ""
        self._judged = ""
        self._failures = 0
        self._due_s = 0.0

    def order(self, candidates: Sequence[Candidate], now_s: float) -> list[Candidate]:
        """Return what to try, the best first, and what was tried in this round last.

        Args:
            candidates: What there is now.
            now_s: Monotonic seconds.
        """
        self._candidates = candidates
        self._has_current = any(one.role is Role.CURRENT for one in candidates)
        wanted = [one for one in candidates if self._is_wanted(one, now_s)]
        return sorted(wanted, key=lambda one: (one.mark in self._tried, [*Role].index(one.role)))

    def is_due(self, candidates: Sequence[Candidate], now_s: float) -> bool:
        """Whether a session with the current pair should make room for a trial."""
        return any(one.role is Role.TRIAL and self._is_wanted(one, now_s) for one in candidates)

    def worked(self, used: Candidate, now_s: float) -> str:
        """Note a session; return the mark of a trial to give up, since only the current pair works."""
        failed, self._failed_trial = self._failed_trial, ""
        self._tried.clear()
        self._current_refused = False
        if used.role is not Role.CURRENT or not failed:
            return ""
        self._failures = self._failures + 1 if failed == self._judged else 1
        self._judged = failed
        self._due_s = now_s + min(FIRST_WAIT_S * 2.0 ** (self._failures - 1), LONGEST_WAIT_S)
        if self._failures < PATIENCE:
            return ""
        self._given_up.add(failed)
        return failed

    def refused(self, used: Candidate, now_s: float) -> bool:
        """Note that the broker does not take this pair; return True if another one is to be tried at once."""
        if used.role is Role.TRIAL:
            self._given_up.add(used.mark)
        elif used.role is Role.CURRENT:
            self._current_refused = True
        return self._goes_on(used, now_s)

    def failed(self, used: Candidate, now_s: float) -> bool:
        """Note that an attempt failed otherwise; return True if another pair is to be tried at once."""
        if used.role is Role.TRIAL:
            self._failed_trial = used.mark
        return self._goes_on(used, now_s)

    def _goes_on(self, used: Candidate, now_s: float) -> bool:
        self._tried.add(used.mark)
        left = [
            one for one in self._candidates if self._is_wanted(one, now_s) and one.mark not in self._tried
        ]
        if not left:
            self._tried.clear()  # a new round, after a pause
        return bool(left)

    def _is_wanted(self, one: Candidate, now_s: float) -> bool:
        match one.role:
            case Role.TRIAL:
                waits = one.mark == self._judged and now_s < self._due_s
                return one.mark not in self._given_up and not waits
            case Role.FORMER:
                return self._current_refused or not self._has_current
            case _:
                return True
