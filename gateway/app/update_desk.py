"""The daemon's part in updates: it takes orders, says when to wait, and passes on how far the runner is.

    cloud -- signed order --> desk -- remembered, nudge file --> runner (another process, update/runner.py)
    cloud <-- message "update" -- desk <-- ReportUpdate ----------+
                                  core -- lease -----------------> RequestLease

It knows nothing of targets, signatures and slots: a gateway whose runner is broken protects all the same.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from gateway.app.update_order import Orders, is_sound, text
from gateway.domain.commands import AnswerRequest, Command, Publish, Record, Remember
from gateway.domain.core import Core
from gateway.domain.disruption import GONE_S, undelivered
from gateway.domain.events import UpdateReported
from gateway.domain.model import Actor, ActorKind, Channel, Json, Request
from gateway.domain.ports import Emit
from gateway.domain.update.asked import UpdateAsked, UpdateOrdered
from gateway.domain.update.words import State, Step
from gateway.errors import ControlError
from gateway.link.pace import Pace

log = logging.getLogger(__name__)

NUDGE = "update.nudge"
"""File in the runtime folder; systemd starts the runner when it is written (reed-update.path)."""

TELL_EVERY_PERCENT = 10
"""Progress within a state makes a message this often; the view has all of it."""

TOLD_AT_ONCE, TOLD_PER_S = 60, 1 / 60
"""Messages: more than an update needs; a runner that goes round in circles floods neither disk nor cloud."""

_REPORT = "update/report"
_TOLD = ("update_id", "state", "code", "detail", "waits_for")


class Disk(Protocol):
    """What it needs of the store."""

    def remember(self, remember: Remember, /) -> None:
        """Keep a value across restarts."""

    def when_settled(self, tell: Callable[[], None], /) -> None:
        """Call back once all is on disk, or the disk does not take it."""

    def stats(self) -> dict[str, Json]:
        """Return figures; `state` is "ok" while the disk takes what it is given."""


class UpdateDesk:
    """Orders, leases and reports of updates.

    Args:
        core: Knows what goes on in the building.
        disk: Remembers.
        publish: Queues a message; calls back once it is on disk.
        execute: Carries out an answer or a record.
        emit: Tells the core.
        folder: For the nudge file.
    """

    def __init__(  # noqa: PLR0913  # one place where all of them meet
        self,
        *,
        core: Core,
        disk: Disk,
        publish: Callable[[Publish, Callable[[], None]], None],
        execute: Callable[[Command], None],
        emit: Emit,
        folder: Path,
    ) -> None:
        self._core, self._disk, self._publish = core, disk, publish
        self._execute, self._emit, self._folder = execute, emit, folder
        self._orders = Orders(disk.remember)
        self._report: dict[str, Json] = {}
        self._told: dict[str, Json] = {}
        self._pace = Pace(TOLD_PER_S, TOLD_AT_ONCE)
        self._undelivered_since_s: float | None = None

    def recall(self, memory: Mapping[str, Json]) -> None:
        """Take over what was remembered; what has come since stands."""
        self._orders.recall(memory)
        report = memory.get(_REPORT)
        if isinstance(report, dict) and is_sound(report) and not self._report:
            self._report = self._told = report

    # --- the cloud ----------------------------------------------------------------------------------

    def ask(self, asked: UpdateAsked) -> None:
        """Take an order or its withdrawal: it is on disk before it counts as taken."""
        request = asked.request
        refusal = self._orders.refusal(asked)
        if refusal is not None:
            self._execute(AnswerRequest(request.command_id, "rejected", *refusal))
            return
        if isinstance(asked, UpdateOrdered):
            update_id, done, detail = asked.order.id, "update.ordered", {**self._orders.add(asked.order)}
        else:
            update_id, done, detail = asked.update_id, "update.withdrawn", {}
            self._orders.withdraw(update_id)
        cause, subject = request.cause, f"update/{update_id}"
        self._execute(Record(done, subject, request.actor, cause, request.command_id, detail))
        self._disk.when_settled(partial(self._taken, request, update_id))

    def _taken(self, request: Request, update_id: str) -> None:
        if self._disk.stats()["state"] != "ok":
            if update_id not in self._orders.cancelled:
                self._orders.forget(update_id)
            detail = "the disk does not take it; an order is void"
            self._execute(AnswerRequest(request.command_id, "failed", "store_unavailable", detail))
            return
        detail = f"update {update_id} is taken note of; messages of kind update tell how far it comes"
        self._execute(AnswerRequest(request.command_id, "succeeded", "", detail))
        self._nudge()

    def _nudge(self) -> None:
        # in a thread: nothing that touches a folder may hold the loop up
        asyncio.get_running_loop().run_in_executor(None, _write, self._folder / NUDGE)

    # --- the runner ---------------------------------------------------------------------------------

    def lease(self, step: Step, gone_s: float | None) -> dict[str, Json]:
        """Return whether this step may be taken now: `granted`, `reasons`, `valid_for_s`.

        Args:
            step: What is to be done.
            gone_s: The cloud has been away for so long; 0 while it is there, None if there is to be none.
        """
        now_s = time.monotonic()
        waits = self._core.disruption(now_s, step)
        if step is not Step.DOWNLOAD:
            waits += undelivered(self._queued_alarms(), gone_s=gone_s, waited_s=self._waited_s(now_s, gone_s))
        if waits:
            return {"granted": False, "reasons": [*waits], "valid_for_s": 0.0}
        valid_s = self._core.lease.grant(step, now_s)
        return {"granted": True, "reasons": [], "valid_for_s": valid_s}

    def known(self) -> dict[str, Json]:
        """Return what the runner is to know: `order`, `cancelled`, `lease_left_s` and the last `report`."""
        return {
            "order": self._orders.order,
            "cancelled": [*self._orders.cancelled],
            "lease_left_s": round(self._core.lease.left_s(time.monotonic()), 3),
            "report": {**self._report} or None,
        }

    def report(self, report: Mapping[str, Json], on_disk: Callable[[], None]) -> None:
        """Take the runner's word; call back once it is on disk. What is known already makes no message.

        Raises:
            ControlError: "Busy": too many updates have come to their ends; tell it again later.
        """
        state, told = text(report, "state"), self._told
        is_news = any(told.get(key) != report.get(key) for key in _TOLD) or _has_come_far(told, report)
        may_tell = is_news and self._may_tell()
        if is_news and not may_tell and State(state).final:
            raise ControlError("Busy", "too many updates have ended; say it again in a minute")
        self._report = {**report}
        if State(state).final:  # also one that is known: it may have been ordered again
            self._orders.forget(text(report, "update_id"))
        if not may_tell:
            self._disk.when_settled(on_disk)
            return
        self._told = self._report
        self._disk.remember(Remember(_REPORT, self._report))
        self._publish(Publish(Channel.EVENT, "update", self._report), on_disk)
        if (told.get("update_id"), told.get("state")) != (report.get("update_id"), state):
            self._entered(State(state), report)

    def _entered(self, state: State, report: Mapping[str, Json]) -> None:
        self._record(report)
        self._emit(
            UpdateReported(text(report, "kind"), text(report, "version"), state, text(report, "detail"))
        )
        if state.final and state is not State.REJECTED:  # which may be the second of two: one goes on
            self._core.lease.end()

    def _may_tell(self) -> bool:
        if not self._pace.allowance(time.monotonic()):
            return False
        self._pace.spend(1)
        return True

    def _record(self, report: Mapping[str, Json]) -> None:
        update_id, source = text(report, "update_id"), text(report, "source")
        kind = ActorKind.LOCAL if source == "local" else ActorKind.REMOTE
        actor = Actor(kind, text(report, "actor") or source)
        said: dict[str, Json] = {
            key: report.get(key) for key in ("kind", "version", "from_version", "state", "code")
        }
        cause = text(report, "detail")
        self._execute(Record("update.state", f"update/{update_id}", actor, cause, update_id, said))

    # --- everybody ----------------------------------------------------------------------------------

    def view(self) -> dict[str, Json]:
        """Return how far the last update has come; `state` is "none" if there never was one."""
        self._waited_s(time.monotonic())
        order, report = self._orders.order, self._report
        if order is not None and order["update_id"] != report.get("update_id"):
            report = {**order, "state": State.OFFERED.value}
        words = ("update_id", "kind", "version", "from_version", "code", "detail", "waits_for")
        shown: dict[str, Json] = {key: text(report, key) for key in words}
        percent = report.get("percent", 0)
        return {"state": text(report, "state") or "none", **shown, "percent": percent}

    def headline(self) -> str:
        """Return in a few words what is under way; "" if nothing is."""
        view = self.view()
        if view["state"] == "none" or State(str(view["state"])).final:
            return ""
        return f"update {view['version']} {str(view['state']).replace('_', ' ')}"

    # --- inside -------------------------------------------------------------------------------------

    def _queued_alarms(self) -> int:
        queued = self._disk.stats().get("queued")
        waiting = queued.get("alarm") if isinstance(queued, dict) else 0
        return waiting if isinstance(waiting, int) else 0

    def _waited_s(self, now_s: float, gone_s: float | None = 0.0) -> float:
        """Return for how long alarms have been waiting whenever somebody looked and there was a cloud."""
        if not self._queued_alarms() or gone_s is None or gone_s >= GONE_S:
            self._undelivered_since_s = None
        elif self._undelivered_since_s is None:
            self._undelivered_since_s = now_s
        return 0.0 if self._undelivered_since_s is None else now_s - self._undelivered_since_s


def _has_come_far(told: Mapping[str, Json], report: Mapping[str, Json]) -> bool:
    before, now = told.get("percent"), report.get("percent")
    far = (now if isinstance(now, int) else 0) - (before if isinstance(before, int) else 0)
    return abs(far) >= TELL_EVERY_PERCENT


def _write(path: Path) -> None:
    try:
        path.write_text(f"{time.time():.3f}\n", encoding="ascii")
    except OSError as error:
        log.warning("cannot write %s; the update waits for the timer: %s", path, error)
