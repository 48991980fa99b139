"""A small working gateway behind the control socket: one zone, two sensors, two valves, one leak alarm.

It answers as the real one does (closing takes until `arrive`), so that clients can be tested without a
building.
"""

import asyncio
import copy
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self

from gateway.control.config import Config
from gateway.control.daemon import Message
from gateway.control.server import serve
from gateway.domain.commands import AnswerRequest
from gateway.domain.events import (
    AcknowledgeRequested,
    Event,
    ExerciseRequested,
    OccupancyRequested,
    ResetRequested,
    ShelveRequested,
    ValveRequested,
    WalkTestRequested,
)
from gateway.domain.model import Channel, Json, Request, Wish
from gateway.domain.update.words import Step
from gateway.errors import ControlError
from tests.fakes.view import LEAK, example_view


class FakeGateway:
    """Implements gateway.control.daemon.Daemon."""

    def __init__(self) -> None:
        self.state = example_view()
        self.events: list[Event] = []
        self.silent = False
        self.has_cloud = True
        self.nudges = 0
        self.late_s = 0.0
        self.waits: list[str] = []
        self.asked: list[Step] = []
        self.order: dict[str, Json] | None = None
        self.reports: list[Mapping[str, Json]] = []
        self.disk_works = True
        self.passed: set[str] = set()
        self._messages: deque[Message] = deque(maxlen=300)
        self._listeners: list[Callable[[Message], None]] = []
        self._answers: dict[str, Callable[[AnswerRequest], None]] = {}
        self._closing: dict[str, str] = {}

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    @property
    def awaited(self) -> int:
        return len(self._answers)

    def view(self) -> dict[str, Json]:
        return copy.deepcopy(self.state)

    def recent(self) -> Sequence[Message]:
        return tuple(self._messages)

    def core_late_s(self) -> float:
        return self.late_s

    def lease(self, step: Step) -> dict[str, Json]:
        self.asked.append(step)
        return {
            "granted": not self.waits,
            "reasons": [*self.waits],
            "valid_for_s": 0.0 if self.waits else 60.0,
        }

    def update(self) -> dict[str, Json]:
        report: Json = dict(self.reports[-1]) if self.reports else None
        return {"order": self.order, "cancelled": [], "lease_left_s": 0.0, "report": report}

    def report_update(self, report: Mapping[str, Json], on_disk: Callable[[], None]) -> None:
        self.reports.append(report)
        if self.disk_works:
            asyncio.get_running_loop().call_soon(on_disk)

    def use_identity(self) -> None:
        if not self.has_cloud:
            raise ControlError("NoCloud", "there is no [link] in the configuration")
        self.nudges += 1

    def on_message(self, tell: Callable[[Message], None]) -> AbstractContextManager[None]:
        @contextmanager
        def listening() -> Iterator[None]:
            self._listeners.append(tell)
            try:
                yield
            finally:
                self._listeners.remove(tell)

        return listening()

    def on_answer(
        self, command_id: str, tell: Callable[[AnswerRequest], None]
    ) -> AbstractContextManager[None]:
        @contextmanager
        def listening() -> Iterator[None]:
            self._answers[command_id] = tell
            try:
                yield
            finally:
                del self._answers[command_id]

        return listening()

    def publish(self, kind: str, body: dict[str, Json], channel: Channel = Channel.EVENT) -> None:
        seq = len(self._messages) + 1
        message = Message(f"7/{seq}", channel, kind, body, 1_760_000_000.0 + seq, 100.0 + seq)
        self._messages.append(message)
        for tell in tuple(self._listeners):
            tell(message)

    def emit(self, event: Event) -> None:  # noqa: C901  # one case for each kind of request
        self.events.append(event)
        if self.silent:
            return
        match event:
            case ValveRequested(valve, Wish.CLOSE, request):
                self._valve(valve)["state"] = "closing"
                self._closing[valve] = request.command_id
                self._answer(request, "executing")
            case ValveRequested(valve, Wish.OPEN, request):
                self._answer(request, "rejected", "latched_alarm", f"{LEAK} is latched; reset it first")
            case ExerciseRequested(valve, request):
                self._answer(request, "failed", "valve_fault", f"{valve} did not reach its end")
            case ResetRequested(_, request):
                self._answer(request, "rejected", "not_dry", "dry for 20 of 60 s")
            case AcknowledgeRequested(alarm, request):
                for entry in self.state["alarms"]:
                    if entry["id"] == alarm:
                        entry["state"] = "acknowledged"
                self._answer(request, "succeeded")
            case ValveRequested(_, _, request) | ShelveRequested(_, _, request):
                self._answer(request, "succeeded")
            case OccupancyRequested(mode, request):
                self.state["occupancy"] = mode.value
                self._answer(request, "succeeded")
            case WalkTestRequested(zone, on, request):
                self.state["zones"][zone]["state"] = "test" if on else "dry"
                self._answer(request, "succeeded")
                if not on:
                    missed = sorted({"pump", "cellar"} - self.passed)
                    self.publish("walk_test", {"zone_id": zone, "step": "finished", "not_passed": missed})

    def walk(self, sensor: str) -> None:
        """A person wets the sensor and dries it."""
        self.passed.add(sensor)
        for step in ("wet", "passed"):
            body: dict[str, Json] = {"zone_id": "plant-room", "sensor_id": sensor, "step": step}
            self.publish("walk_test", body)

    def arrive(self, valve: str) -> None:
        """The closing valve reaches its end switch."""
        self._valve(valve).update(state="closed", closure="confirmed")
        self.publish("valve", {"valve_id": valve, "state": "closed"})
        if tell := self._answers.get(self._closing.pop(valve, "")):
            tell(AnswerRequest("", "succeeded", "", "closed, confirmed by its end switch"))

    def _valve(self, valve: str) -> dict[str, Json]:
        return self.state["valves"][valve]

    def _answer(self, request: Request, state: str, reason: str = "", detail: str = "") -> None:
        if tell := self._answers.get(request.command_id):
            tell(AnswerRequest(request.command_id, state, reason, detail))


class Served:
    """A gateway whose control socket is served by a thread of its own, for blocking clients."""

    def __init__(self, gateway: FakeGateway, config: Config) -> None:
        self.gateway = gateway
        self.config = config
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._task = self._loop.create_task(serve(self.config, self.gateway))
        self._thread.start()
        self.do(lambda: None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join(5)

    def do(self, action: Callable[[], object]) -> None:
        """Run something in the gateway's loop, and wait for it."""
        done = threading.Event()

        def run() -> None:
            action()
            done.set()

        self._loop.call_soon_threadsafe(run)
        assert done.wait(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()


def served(socket: Path, gateway: FakeGateway | None = None, **options: object) -> Served:
    """Return a gateway to enter, serving on this socket."""
    return Served(gateway or FakeGateway(), Config(socket=socket, **options))
