"""A gateway that is updated, as the runner sees it: two slots, a package, a configuration, a daemon.

The machine boots, forgets its one-shot flag when power is cut, refuses and breaks on demand; what a version
is like (unhealthy, does not start) is known by its name. All of it survives a restart, as disks do.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.domain.model import Json
from gateway.domain.update.model import Code, Kind, Order, Step, Update
from gateway.errors import ControlError, UpdateError
from gateway.update.ports import Lease

HEALTHY: dict[str, Json] = {
    "gateway": {"core_late_s": 0.0},
    "sensors": {"sump": {"healthy": True, "last_seen_s_ago": 3.0, "faults": []}},
    "valves": {"main": {"state": "open"}},
    "zones": {"cellar": {}},
    "meters": {},
    "flow_rules": {},
    "alarms": [],
    "store": {"state": "ok"},
    "link": {"state": "up"},
}


@dataclass
class Machine:
    """Applier and boot loader.

    Args:
        versions: That run, of each kind.
        other: In the slot that does not run; "" if it is unusable.
        armed: The other slot is tried at the next start.
        trial: The slot that runs is on trial.
        former: Of packages and configuration that are on trial.
        dead: Versions that do not start.
        trouble: Of each verb: what it says the next times.
        cuts: Verbs that the next time end in a power cut, half done.
    """

    versions: dict[str, str] = field(default_factory=lambda: {kind.value: "1" for kind in Kind})
    other: str = "1"
    armed: bool = False
    trial: bool = False
    former: dict[str, str] = field(default_factory=dict)
    half_done: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    trouble: dict[str, list[UpdateError]] = field(default_factory=dict)
    cuts: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    boots: int = 0
    on_restart: Callable[[], None] = lambda: None
    on_install: Callable[[], None] = lambda: None

    async def call(
        self, verb: str, arguments: Mapping[str, Json], on_percent: Callable[[int], None] = lambda _: None
    ) -> Mapping[str, Json]:
        if verb != "state":
            self.calls.append(verb)
        if troubles := self.trouble.get(verb):
            raise troubles.pop(0)
        kind = str(arguments.get("kind", ""))
        match verb:
            case "state":
                return self._state()
            case "install":
                self._install(kind, str(arguments["version"]))
                on_percent(100)
            case "commit":
                self._cut(verb)
                self.trial = False
                self.former.pop(kind, None)
            case "restore" | "abort":
                self._restore(kind, verb)
            case "reboot":
                self._cut(verb)
                self.armed = arguments.get("into") == "new" and not self.trial and bool(self.other)
                self.restart()
        return {}

    def restart(self, *, power_cut: bool = False) -> None:
        """Go down and come up."""
        self.boots += 1
        tries = self.armed and not power_cut and self.other not in self.dead
        if tries or self.trial:
            self.versions["os"], self.other = self.other, self.versions["os"]
        self.trial = tries
        self.armed = False
        self.on_restart()

    def _state(self) -> Mapping[str, Json]:
        kinds: dict[str, Json] = {
            kind: {
                "supported": True,
                "why": "",
                "version": version,
                "trial": kind == "os" and self.trial,
                "interrupted": kind in self.half_done,
            }
            for kind, version in self.versions.items()
        }
        return {"kinds": kinds, "pending": None, "outcome": {}}

    def _install(self, kind: str, version: str) -> None:
        self.half_done.add(kind)
        if kind == "os":
            self.other = ""
            self._cut("install")
            self.other = version
            self.armed = True
        else:
            self.former.setdefault(kind, self.versions[kind])
            self._cut("install")
            self.versions[kind] = version
        self.half_done.discard(kind)
        self.on_install()

    def _restore(self, kind: str, verb: str) -> None:
        self.half_done.discard(kind)
        self.armed = False
        if kind != "os" and kind in self.former:
            self.versions[kind] = self.former.pop(kind)
        self._cut(verb)

    def _cut(self, verb: str) -> None:
        if verb in self.cuts:
            self.cuts.remove(verb)
            self.restart(power_cut=True)
            raise asyncio.CancelledError  # nobody is left to hear an answer


@dataclass
class Daemon:
    """The daemon's word on leases, its view, and what it was told.

    Args:
        machine: It runs on.
        waits: Why nothing may be done now.
        sick: Versions that do not work well.
        dead: It does not run.
    """

    machine: Machine
    waits: list[str] = field(default_factory=list)
    sick: set[str] = field(default_factory=set)
    dead: bool = False
    deaf: bool = False
    asked: list[Step] = field(default_factory=list)
    told: list[Update] = field(default_factory=list)

    async def view(self) -> Mapping[str, Json]:
        self._answer()
        if self.sick & set(self.machine.versions.values()):
            silent: Json = {"sump": {"healthy": False, "last_seen_s_ago": None, "faults": ["silent"]}}
            return HEALTHY | {"sensors": silent}
        return HEALTHY

    async def lease(self, step: Step) -> Lease:
        self._answer()
        self.asked.append(step)
        return Lease(not self.waits, tuple(self.waits), 60.0)

    async def report(self, update: Update) -> None:
        if self.deaf:
            raise ControlError("Failed", "the disk is full")
        self._answer()
        self.told.append(update)

    def _answer(self) -> None:
        if self.dead:
            raise ControlError("NotReached", "is the gateway running?")


@dataclass
class Cloud:
    """A source; it wants what is in its list until it hears how that ended."""

    name: str = "cloud"
    orders: list[Order] = field(default_factory=list)
    withdrawn: set[str] = field(default_factory=set)
    told: list[Update] = field(default_factory=list)
    away: bool = False

    async def order(self) -> Order | None:
        self._answer()
        return self.orders[0] if self.orders else None

    async def cancelled(self, order_id: str) -> bool:
        self._answer()
        return order_id in self.withdrawn

    async def report(self, update: Update) -> None:
        self._answer()
        self.told.append(update)
        if update.state.final:
            self.orders = [order for order in self.orders if order.id != update.order.id]

    def _answer(self) -> None:
        if self.away:
            raise UpdateError(Code.UNREACHABLE, "no network", passing=True)


@dataclass
class Time:
    """The times, in a loop of any kind."""

    now: Callable[[], float]
    boot_id: str = "boot-0"
    since_s: float = 0.0
    minute_of_day: int | None = 12 * 60
    unix_s: float | None = 1_800_000_000.0

    def restart(self) -> None:
        self.since_s = self.now()
        self.boot_id = f"boot-{int(self.boot_id.split('-')[1]) + 1}"

    def now_s(self) -> float:
        return self.now() - self.since_s

    def now_unix_s(self) -> float | None:
        return self.unix_s

    def minute(self) -> int | None:
        if self.minute_of_day is None:
            return None
        return int(self.minute_of_day + self.now() // 60) % 1440


class Signs:
    """A key that signs."""

    async def sign(self) -> bool | None:
        return True
