"""Messages that the broker has and the cloud has not confirmed yet, pure.

It bounds how far we run ahead of the cloud, and says when to send again what it does not confirm: later each
time, for as long as it confirms nothing.
"""

from collections.abc import Sequence
from typing import Final

from gateway.domain.ports import MessageId

UNHEARD_S: Final = 2.0
"""Patience with a message for which the broker had no subscriber: the cloud is away, perhaps restarting."""
_PATIENCE_CAP_S: Final = 3600.0


class Window:
    """Ordered by the time at which the broker took them.

    Args:
        limit: So many may go ahead; 0 if nobody confirms anything.
        patience_s: So long may a confirmation take.
    """

    def __init__(self, limit: int, patience_s: float) -> None:
        self._limit = limit
        self._patience_s = patience_s
        self._factor = 1.0
        self._heard: dict[MessageId, float] = {}
        self._unheard: dict[MessageId, float] = {}

    def __len__(self) -> int:
        return len(self._heard) + len(self._unheard)

    @property
    def expected(self) -> int:
        """How many the cloud has, and may confirm any moment; what nobody heard is sent again anyway."""
        return len(self._heard)

    @property
    def room(self) -> int | None:
        """How many more may go ahead; None for any number."""
        return max(0, self._limit - len(self)) if self._limit else None

    def published(self, message: MessageId, now_s: float, *, heard: bool) -> None:
        """Note what the broker has acknowledged, and whether it had somebody to pass it on to."""
        if self._limit:
            (self._heard if heard else self._unheard)[message] = now_s

    def received(self, epoch: int, through: int, also: Sequence[tuple[int, int]]) -> None:
        """Forget what the cloud has confirmed."""
        for waiting in (self._heard, self._unheard):
            confirmed = [
                message
                for message in waiting
                if message.epoch == epoch
                and (message.seq <= through or any(first <= message.seq <= last for first, last in also))
            ]
            for message in confirmed:
                del waiting[message]
            if confirmed:
                self._factor = 1.0

    def overdue(self, now_s: float) -> bool:
        """Whether one has waited too long."""
        return self._late(self._heard, self._patience_s, now_s) or self._late(
            self._unheard, min(UNHEARD_S, self._patience_s), now_s
        )

    def _late(self, waiting: dict[MessageId, float], patience_s: float, now_s: float) -> bool:
        oldest_s = next(iter(waiting.values()), now_s)
        return now_s - oldest_s > min(patience_s * self._factor, _PATIENCE_CAP_S)

    def start_over(self) -> None:
        """Note that all of them will be sent again."""
        self._heard.clear()
        self._unheard.clear()
        self._factor = min(self._factor * 2, _PATIENCE_CAP_S)
