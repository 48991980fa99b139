"""What the control server needs of the daemon; the app implements this.

Everything is called in the loop's thread and must return at once.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.domain.commands import AnswerRequest
from gateway.domain.events import Event
from gateway.domain.model import Channel, Json
from gateway.domain.update.words import Step


@dataclass(frozen=True, slots=True)
class Message:
    """A message that the core published, as kept for local readers.

    Args:
        id: "<epoch>/<seq>", as in the outbox.
        at_unix_s: Wall time; None while the clock is not to be trusted.
        mono_s: Monotonic seconds.
    """

    id: str
    channel: Channel
    kind: str
    body: Mapping[str, Json]
    at_unix_s: float | None
    mono_s: float


class Daemon(Protocol):
    """The running gateway, seen from the control socket."""

    def view(self) -> dict[str, Json]:
        """Return everything there is to see now: the core's view, plus gateway, link, store and clock."""

    def emit(self, event: Event, /) -> None:
        """Hand an event to the core; its commands are executed on return."""

    def recent(self) -> Sequence[Message]:
        """Return the last messages that are kept in memory (some hundreds), oldest first."""

    def on_message(self, tell: Callable[[Message], None], /) -> AbstractContextManager[None]:
        """While entered, call `tell` for each message that the core publishes. It does not raise."""

    def on_answer(
        self, command_id: str, tell: Callable[[AnswerRequest], None], /
    ) -> AbstractContextManager[None]:
        """While entered, call `tell` for each answer to this request; such answers stay on this machine.

        Entered before the event is emitted, as most answers come during `emit`.
        """

    def core_late_s(self) -> float:
        """Return by how much the core's next deadline has passed, seconds; 0 if it is on time."""

    def use_identity(self) -> None:
        """Look now whether there is another certificate to connect with. Raises ControlError (NoCloud)."""

    def lease(self, step: Step, /) -> Mapping[str, Json]:
        """Return `granted`, `reasons` and `valid_for_s` for this step of an update, taken now."""

    def update(self) -> Mapping[str, Json]:
        """Return `order`, `cancelled`, `lease_left_s` and the last `report`."""

    def report_update(self, report: Mapping[str, Json], on_disk: Callable[[], None], /) -> None:
        """Take how far an update has come; call back once that is on disk. Raises ControlError (Busy)."""
