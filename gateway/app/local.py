"""The running gateway as the control socket sees it."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from gateway import __version__
from gateway.app.messages import Messages
from gateway.control.daemon import Message
from gateway.domain.commands import AnswerRequest
from gateway.domain.core import Core
from gateway.domain.events import Event
from gateway.domain.model import Json
from gateway.domain.ports import Emit
from gateway.errors import ControlError
from gateway.store.store import Store


def _not_yet() -> None:
    """The link has not started; it will look by itself."""


def _no_link() -> None:
    raise ControlError(
        "NoCloud", "there is no [link] in the configuration; add it, empty if need be, and reload"
    )


class Local:
    """Puts the views of all parts together; implements `gateway.control.daemon.Daemon`."""

    def __init__(self, core: Core, store: Store, messages: Messages, emit: Emit) -> None:
        self._core = core
        self._store = store
        self._messages = messages
        self._emit = emit
        self._started_s = time.monotonic()
        self._link_view: Callable[[float], dict[str, Json]] | None = None
        self._use_identity: Callable[[], None] = _not_yet

    def view(self) -> dict[str, Json]:
        """Return everything there is to see now."""
        return {**self.snapshot(), "link": self._link(), "store": self._store.stats()}

    def snapshot(self) -> dict[str, Json]:
        """Return what the cloud is told of the present state."""
        now_s = time.monotonic()
        return {
            **self._core.view(now_s),
            "gateway": {
                "id": self._messages.origin.gateway,
                "version": __version__,
                "uptime_s": round(now_s - self._started_s, 3),
                "boot_id": self._messages.origin.boot_id,
                "epoch": self._messages.origin.epoch,
            },
            "clock": {"trusted": self._messages.clock.trusted()},
        }

    def show_link(
        self, view: Callable[[float], dict[str, Json]] | None, use_identity: Callable[[], None] = _no_link
    ) -> None:
        """Take the link's part of the view from here; None: there is no link.

        Args:
            view: Of the link.
            use_identity: Makes it look for another certificate now. Raises ControlError.
        """
        self._link_view, self._use_identity = view, use_identity

    def headline(self) -> str:
        """Return one line for `systemctl status`."""
        link = self._link()
        cloud = "denied" if link.get("denied") else link["state"]
        return f"{self._core.view(time.monotonic())['state']}; cloud {cloud}"

    def core_late_s(self) -> float:
        """Return by how much the core's next deadline has passed, seconds; 0 if it is on time."""
        due_s = self._core.next_deadline_s()
        return 0.0 if due_s is None else max(0.0, time.monotonic() - due_s)

    def use_identity(self) -> None:
        """Look for another certificate now. Raises ControlError."""
        self._use_identity()

    def emit(self, event: Event) -> None:
        """Hand an event to the core; its commands are executed on return."""
        self._emit(event)

    def recent(self) -> Sequence[Message]:
        """Return the last messages, oldest first."""
        return self._messages.recent()

    def on_message(self, tell: Callable[[Message], None]) -> AbstractContextManager[None]:
        """While entered, call `tell` for each message."""
        return self._messages.on_message(tell)

    def on_answer(
        self, command_id: str, tell: Callable[[AnswerRequest], None]
    ) -> AbstractContextManager[None]:
        """While entered, call `tell` for each answer to this request."""
        return self._messages.on_answer(command_id, tell)

    def _link(self) -> dict[str, Json]:
        if self._link_view is None:
            return {"state": "off", "since_s": None, "detail": "no [link] in the configuration"}
        return self._link_view(time.monotonic())
