"""Finds the message on which a broker chokes, pure: it must not block the others for ever.

Sessions break for many reasons, and what was in flight is rarely one of them. A message is only suspected
when two healthy sessions in a row ended with it in flight. From then on one message is sent at a time; one
that was alone in flight when three more healthy sessions in a row ended is poison.
"""

from collections.abc import Collection
from typing import Final

from gateway.domain.ports import MessageId

_SUSPECTED_AFTER: Final = 2
_POISON_AFTER: Final = 5


class Suspects:
    """Counts, for each message, the healthy sessions in a row that ended with it in flight."""

    def __init__(self) -> None:
        self._ends: dict[MessageId, int] = {}

    @property
    def any(self) -> bool:
        """Whether to send one message at a time."""
        return any(ends >= _SUSPECTED_AFTER for ends in self._ends.values())

    def delivered(self, message: MessageId) -> None:
        """Acquit a message that the broker has taken."""
        if self._ends:
            self._ends.pop(message, None)

    def ended(self, in_flight: Collection[MessageId]) -> MessageId | None:
        """Note the end of a session in which the broker had answered; return a message found to be poison."""
        alone = len(in_flight) == 1
        ends: dict[MessageId, int] = {}
        for message in in_flight:
            before = self._ends.get(message, 0)
            ends[message] = before + 1 if alone else min(before + 1, _SUSPECTED_AFTER)
        self._ends = ends
        return next((message for message, count in ends.items() if count >= _POISON_AFTER), None)
