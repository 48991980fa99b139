"""The running gateway as the control socket sees it."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from gateway import __version__
from gateway.app.messages import Messages
from gateway.app.update_desk import UpdateDesk
from gateway.control.daemon import Message
from gateway.domain.commands import AnswerRequest
from gateway.domain.core import Core
from gateway.domain.events import Event
from gateway.domain.model import Json
from gateway.domain.ports import Emit
from gateway.domain.update.words import Step
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

    def __init__(self, core: Core, store: Store, messages: Messages, emit: Emit, desk: UpdateDesk) -> None:
        self._core = core
        self._desk = desk
        self._store = store
        self._messages = messages
        self._emit = emit
        self._started_s = time.monotonic()
        self._link_view: Callable[[float], dict[str, Json]] | None = None
        self._use_identity: Callable[[], None] = _not_yet

    def view(self) -> dict[str, Json]:
        """Return everything there is to see now."""
        site = self.snapshot()
        gateway = site["gateway"]
        if isinstance(gateway, dict):
            gateway["core_late_s"] = round(self.core_late_s(), 3)
        return {**site, "link": self._link(), "store": self._store.stats()}

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
            "update": self._desk.view(),
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
        update = self._desk.headline()
        state = self._core.view(time.monotonic())["state"]
        return f"{state}; cloud {cloud}" + (f"; {update}" if update else "")

    def core_late_s(self) -> float:
        """Return by how much the core's next deadline has passed, seconds; 0 if it is on time."""
        due_s = self._core.next_deadline_s()
        return 0.0 if due_s is None else max(0.0, time.monotonic() - due_s)

    def use_identity(self) -> None:
        """Look for another certificate now. Raises ControlError."""
        self._use_identity()

    def lease(self, step: Step) -> Mapping[str, Json]:
        """Return whether this step of an update may be taken now."""
        return self._desk.lease(step, self._cloud_gone_s())

    def update(self) -> Mapping[str, Json]:
        """Return what the runner is to know."""
        return self._desk.known()

    def report_update(self, report: Mapping[str, Json], on_disk: Callable[[], None]) -> None:
        """Take how far an update has come; call back once that is on disk. Raises ControlError (Busy)."""
        self._desk.report(report, on_disk)

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

    def _cloud_gone_s(self) -> float | None:
        """Return for how long the cloud has been away: 0 while it is there, None if there is to be none."""
        if self._link_view is None:
            return None
        link, uptime_s = self._link(), time.monotonic() - self._started_s
        if link["state"] == "up":
            return 0.0
        since_s = link.get("since_s")
        return since_s if isinstance(since_s, int | float) else uptime_s

    def _link(self) -> dict[str, Json]:
        if self._link_view is None:
            return {"state": "off", "since_s": None, "detail": "no [link] in the configuration"}
        return self._link_view(time.monotonic())
