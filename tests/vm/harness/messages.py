"""What the running gateway says: every message since its start, as it comes on the control socket."""

import json
import time
from types import TracebackType
from typing import Any, Self

from tests.vm.harness.pi import VirtualPi
from tests.vm.harness.shell import CommandError, Program

_FOLLOW = """
import sys
sys.path.insert(0, "/opt/reed")
from pathlib import Path
from gateway.cli.access import show_json
from gateway.control.client import Client
with Client(Path("/run/reed/org.reed.Gateway")) as client:
    for reply in client.stream("GetEvents", limit=1000):
        assert not reply["missed"], reply["missed"]
        for message in reply["messages"]:
            show_json(message)
"""
_LAST_S = 0.5

Message = dict[str, Any]


class Messages:
    """Follows one run of the gateway; a context manager. `mono_s` is the Pi's CLOCK_MONOTONIC."""

    def __init__(self, vm: VirtualPi) -> None:
        self._program: Program = vm.open_python(_FOLLOW)
        self._heard: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._program.__exit__(kind, error, trace)

    def wait(self, kind: str, since_s: float = 0.0, timeout_s: float = 60.0, **body: object) -> Message:
        """Return the first message of this kind with these entries in its body, said since then.

        Raises:
            AssertionError: There was none in time; says what came instead.
        """
        deadline_s = time.monotonic() + timeout_s
        seen = 0
        while True:
            for message in self._heard[seen:]:
                if _fits(message, kind, since_s, body):
                    return message
            seen = len(self._heard)
            try:
                self._heard.append(json.loads(self._program.line(deadline_s - time.monotonic())))
            except (CommandError, ValueError):
                said = "\n".join(f"{m['mono_s']:.2f} {m['kind']} {m['body']}" for m in self._heard)
                raise AssertionError(f"no {kind} {body} since {since_s:.2f}; there was:\n{said}") from None

    def alarm(self, alarm_id: str, *, active: bool, since_s: float = 0.0, timeout_s: float = 60.0) -> Message:
        """Return the first message since then that says that an alarm is present, or gone."""
        return self.wait("alarm", since_s, timeout_s, alarm_id=alarm_id, active=active)

    def said(self, kind: str, since_s: float = 0.0, **body: object) -> list[Message]:
        """Return all messages like this that have come by now."""
        while True:
            try:
                self._heard.append(json.loads(self._program.line(_LAST_S)))
            except CommandError:
                return [message for message in self._heard if _fits(message, kind, since_s, body)]


def _fits(message: Message, kind: str, since_s: float, body: dict[str, object]) -> bool:
    said = message["kind"] == kind and message["mono_s"] >= since_s
    return bool(said and body.items() <= message["body"].items())
