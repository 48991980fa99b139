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
from gateway.store.store import Store


class Local:
    """Puts the views of all parts together; implements `gateway.control.daemon.Daemon`."""

    def __init__(self, core: Core, store: Store, messages: Messages, emit: Emit) -> None:
        self._core = core
        self._store = store
        self._messages = messages
        self._emit = emit
        self._started_s = time.monotonic()
        self._link_view: Callable[[float], dict[str, Json]] | None = None

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

    def show_link(self, view: Callable[[float], dict[str, Json]] | None) -> None:
        """Take the link's part of the view from here; None: there is no link."""
        self._link_view = view

    def headline(self) -> str:
        """Return one line for `systemctl status`."""
        return f"{self._core.view(time.monotonic())['state']}; cloud {self._link()['state']}"

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
