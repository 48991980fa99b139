"""What the front page says: numbers only, since everybody may read it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cloud.brokers.interface import Stats
from cloud.ca import crl
from cloud.errors import BrokerError, SignerError
from cloud.home import Home
from cloud.registry.parts import parts

_KEPT_S = 5.0


@dataclass(frozen=True, slots=True)
class Crls:
    """The revocation lists as they lie there.

    Args:
        since: When they were published; their own beginning lies earlier, for clocks that are slow.
        until: Until when all of them may be used; brokers then refuse everybody.
        entries: Certificates on them.
    """

    since: datetime
    until: datetime
    entries: int


def read_crls(home: Home) -> Crls:
    """Return what `ca/crl.pem` says.

    Raises:
        SignerError: There is none, or it cannot be read.
    """
    try:
        lists = crl.read(home.crl_file.read_bytes())
        written = datetime.fromtimestamp(home.crl_file.stat().st_mtime, UTC)
        untils = [each.next_update_utc for each in lists]
        return Crls(
            since=written,
            until=min(until for until in untils if until is not None),
            entries=sum(len(each) for each in lists),
        )
    except (OSError, ValueError) as error:
        raise SignerError(f"{home.crl_file}: no revocation list can be read there: {error}") from None


class Kept:
    """The broker's numbers, asked for at most every few seconds however many look."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stats: Stats | None = None
        self._asked_s = float("-inf")

    def stats(self) -> Stats | None:
        """Return them; None if the broker does not answer."""
        if self._clock() - self._asked_s >= _KEPT_S:
            self._asked_s = self._clock()
            try:
                self._stats = parts().broker.stats()
            except BrokerError:
                self._stats = None
        return self._stats


def age(since: datetime, now: datetime) -> timedelta:
    """Return how old something is; never negative, whatever the clocks say."""
    return max(now - since, timedelta())
