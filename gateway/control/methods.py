"""The methods of org.reed.Gateway: each turns one call into a look at the daemon or one event for it."""

import secrets
from collections.abc import Callable, Mapping
from typing import Annotated, TypeAlias

import msgspec

from gateway.control import metrics, varlink
from gateway.control.answer import Answers
from gateway.control.connection import INTERFACE, Method, Ongoing
from gateway.control.daemon import Daemon
from gateway.control.peer import may_actuate
from gateway.control.stream import EventStream, Snapshots, WatchStream
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
from gateway.domain.model import Actor, ActorKind, Json, Occupancy, Request, Wish

Cause: TypeAlias = Annotated[str, msgspec.Meta(max_length=500)]
GivenCause: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=366 * 86_400)]


class _Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _Watch(msgspec.Struct, forbid_unknown_fields=True):
    interval_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] | None = None


class _Events(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None = None


class _Valve(msgspec.Struct, forbid_unknown_fields=True):
    valve: str
    wish: Wish
    cause: Cause | None = None


class _Exercise(msgspec.Struct, forbid_unknown_fields=True):
    valve: str
    cause: Cause | None = None


class _Acknowledge(msgspec.Struct, forbid_unknown_fields=True):
    alarm: str
    cause: Cause | None = None


class _Reset(msgspec.Struct, forbid_unknown_fields=True):
    alarm: str
    cause: GivenCause


class _Shelve(msgspec.Struct, forbid_unknown_fields=True):
    alarm: str
    duration_s: Seconds
    cause: GivenCause


class _WalkTest(msgspec.Struct, forbid_unknown_fields=True):
    zone: str
    on: bool
    cause: Cause | None = None


class _Occupancy(msgspec.Struct, forbid_unknown_fields=True):
    mode: Occupancy
    cause: Cause | None = None


class Methods:
    """All methods for one daemon; `group` is the id of the group that may actuate, if there is one."""

    def __init__(self, daemon: Daemon, group: int | None, group_name: str) -> None:
        self._daemon = daemon
        self._group = group
        self._group_name = group_name
        self._snapshots = Snapshots(daemon)
        self._figures = metrics.Figures(daemon)

    def table(self) -> Mapping[str, Method]:
        """Return the methods by their full names."""
        methods: dict[str, Method] = {
            "GetView": self._get_view,
            "Watch": self._watch,
            "GetEvents": self._get_events,
            "GetMetrics": self._get_metrics,
            "ActuateValve": self._actuate_valve,
            "ExerciseValve": self._exercise_valve,
            "AcknowledgeAlarm": self._acknowledge,
            "ResetAlarm": self._reset,
            "ShelveAlarm": self._shelve,
            "WalkTest": self._walk_test,
            "SetOccupancy": self._set_occupancy,
            "UseIdentity": self._use_identity,
        }
        return {f"{INTERFACE}.{name}": method for name, method in methods.items()}

    def _get_view(self, ongoing: Ongoing) -> None:
        varlink.parse_parameters(ongoing.call, _Nothing)
        ongoing.reply({"view": self._snapshots.view()})

    def _watch(self, ongoing: Ongoing) -> None:
        wanted = varlink.parse_parameters(ongoing.call, _Watch)
        if not ongoing.streams:
            ongoing.fail(varlink.EXPECTED_MORE)
            return
        WatchStream(ongoing, self._daemon, self._snapshots, (wanted.interval_ms or 1000) / 1000).start()

    def _get_events(self, ongoing: Ongoing) -> None:
        wanted = varlink.parse_parameters(ongoing.call, _Events)
        EventStream(ongoing, self._daemon, wanted.limit).start()

    def _get_metrics(self, ongoing: Ongoing) -> None:
        varlink.parse_parameters(ongoing.call, _Nothing)
        ongoing.reply({"text": self._figures.text()})

    def _actuate_valve(self, ongoing: Ongoing) -> None:
        wanted = varlink.parse_parameters(ongoing.call, _Valve)
        if self._known(ongoing, "valve", wanted.valve):
            self._ask(
                ongoing, wanted.cause, lambda request: ValveRequested(wanted.valve, wanted.wish, request)
            )

    def _exercise_valve(self, ongoing: Ongoing) -> None:
        wanted = varlink.parse_parameters(ongoing.call, _Exercise)
        if self._known(ongoing, "valve", wanted.valve):
            self._ask(ongoing, wanted.cause, lambda request: ExerciseRequested(wanted.valve, request))

    def _acknowledge(self, ongoing: Ongoing) -> None:
        wanted = varlink.parse_parameters(ongoing.call, _Acknowledge)
        if self._known(ongoing, "alarm", wanted.alarm):
            self._ask(ongoing, wanted.cause, lambda request: AcknowledgeRequested(wanted.alarm, request))

    def _reset(self, ongoing: Ongoing) -> None:
        wanted = varlink.parse_parameters(ongoing.call, _Reset)
        if self._known(ongoing, "alarm", wanted.alarm):
            self._ask(ongoing, wanted.cause, lambda request: ResetRequested(wanted.alarm, request))

    def _shelve(self, ongoing: Ongoing) -> None:
        wanted = varlink.parse_parameters(ongoing.call, _Shelve)
        if self._known(ongoing, "alarm", wanted.alarm):
            self._ask(
                ongoing,
                wanted.cause,
                lambda request: ShelveRequested(wanted.alarm, wanted.duration_s, request),
            )

    def _walk_test(self, ongoing: Ongoing) -> None:
        wanted = varlink.parse_parameters(ongoing.call, _WalkTest)
        if self._known(ongoing, "zone", wanted.zone):
            self._ask(
                ongoing, wanted.cause, lambda request: WalkTestRequested(wanted.zone, wanted.on, request)
            )

    def _set_occupancy(self, ongoing: Ongoing) -> None:
        wanted = varlink.parse_parameters(ongoing.call, _Occupancy)
        self._ask(ongoing, wanted.cause, lambda request: OccupancyRequested(wanted.mode, request))

    def _use_identity(self, ongoing: Ongoing) -> None:
        varlink.parse_parameters(ongoing.call, _Nothing)
        if self._permitted(ongoing):
            self._daemon.use_identity()
            ongoing.reply({"detail": "the gateway looks for its certificate now"})

    def _permitted(self, ongoing: Ongoing) -> bool:
        if may_actuate(ongoing.peer, self._group):
            return True
        message = f"only root and members of group {self._group_name} may do this"
        ongoing.fail("NotPermitted", message=message)
        return False

    def _known(self, ongoing: Ongoing, kind: str, name: str) -> bool:
        known = _ids(self._daemon.view()[f"{kind}s"])
        if name not in known:
            there = ", ".join(known) or "none"
            ongoing.fail(
                "NotFound", message=f"there is no {kind} {name!r}; there is: {there}", known=[*known]
            )
        return name in known

    def _ask(self, ongoing: Ongoing, cause: str | None, event: Callable[[Request], Event]) -> None:
        if not self._permitted(ongoing):
            return
        actor = Actor(ActorKind.LOCAL, f"uid:{ongoing.peer.uid}")
        request = Request(f"local-{secrets.token_hex(8)}", actor, cause or "", may_open=True)
        Answers(ongoing, request.command_id).await_from(self._daemon)
        self._daemon.emit(event(request))
        self._snapshots.forget()


def _ids(entries: Json) -> list[str]:
    """Return the ids of a view's table: its keys, or the `id` of each entry of a list."""
    match entries:
        case dict():
            return [*entries]
        case list():
            return [str(entry["id"]) for entry in entries if isinstance(entry, dict)]
        case _:
            return []
