"""Puts the runner of updates together for a real gateway: a process of its own, not the daemon."""

import asyncio
import contextlib
import importlib
import logging
import pkgutil
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import gateway.control
import gateway.identity
import gateway.update
from gateway import __version__
from gateway.app.clock import WallClock, boot_id, not_before_unix_s
from gateway.app.update_guard import CloudSource, ControlGuard
from gateway.app.update_web import Ours, UpdateWeb
from gateway.config.model import Config
from gateway.domain.model import Json
from gateway.domain.update.model import Kind, Order, Update
from gateway.errors import IdentityError, StoreError, UpdateError
from gateway.update.applier import ApplierClient
from gateway.update.facts import facts
from gateway.update.hawkbit import client as hawkbit_client
from gateway.update.hawkbit.guard import WindowGuard
from gateway.update.hawkbit.memory import Memory
from gateway.update.hawkbit.settings import Settings
from gateway.update.hawkbit.source import Hawkbit
from gateway.update.mailbox import LocalSource, Mailbox
from gateway.update.parts import Parts, Timing
from gateway.update.ports import Guard, Source
from gateway.update.record import Record
from gateway.update.spooler import Spooler
from gateway.update.trust.fetchers import FolderFetcher, WebFetcher
from gateway.update.trust.target import Device
from gateway.update.trust.trusted import Trusted, judged_at, root_file

_log = logging.getLogger(__name__)

APPLIER = Path("/run/reed-apply.sock")


class RealClock:
    """The times of this machine (gateway.update.ports.Clock)."""

    def __init__(self) -> None:
        self.boot_id = boot_id()
        self.wall = WallClock()

    def learn(self, ours: Ours) -> None:
        """Take in what is certainly past: our own certificate, and a time that systemd vouches for."""
        try:
            found = ours.pair()
        except IdentityError:
            found = None
        if found is not None:
            self.wall.raise_floor(not_before_unix_s(found[1].cert_file))
        self.wall.take_network_time()

    def now_s(self) -> float:
        """Return monotonic seconds since the machine was started."""
        return time.monotonic()

    def now_unix_s(self) -> float | None:
        """Return the wall clock; None while it is not to be trusted."""
        return self.wall.trusted_unix_s()

    def minute(self) -> int | None:
        """Return the minute of the day, local time; None while it is not to be trusted."""
        unix_s = self.now_unix_s()
        if unix_s is None:
            return None
        local = time.localtime(unix_s)
        return local.tm_hour * 60 + local.tm_min

    def for_expiry(self) -> datetime:
        """Return the time by which metadata expire: a clock that is behind makes nothing fresh again."""
        return judged_at(self.now_unix_s(), self.wall.floor_unix_s)


class KnownApplier:
    """The applier; what it last said of this machine is remembered for those who need it meanwhile."""

    def __init__(self, path: Path) -> None:
        self._client = ApplierClient(path)
        self._state: Mapping[str, Json] = {}

    async def call(
        self, verb: str, arguments: Mapping[str, Json], on_percent: Callable[[int], None] = lambda _: None
    ) -> Mapping[str, Json]:
        """Do one of its verbs. Raises UpdateError."""
        if verb == "install" and arguments.get("kind") == Kind.APP.value:
            await asyncio.to_thread(_load_all)
        answer = await self._client.call(verb, arguments, on_percent)
        if verb == "state":
            self._state = answer
        return answer

    def device(self, gateway_id: str, kind: Kind) -> Device:
        """Return who would take a target of this kind."""
        kinds = self._state.get("kinds")
        said = kinds.get(Kind.OS.value) if isinstance(kinds, dict) else None
        compatible = said.get("compatible") if isinstance(said, dict) else None
        running = facts(self._state, kind).version
        return Device(gateway_id, compatible if isinstance(compatible, str) else "", running)

    async def attributes(self) -> Mapping[str, str]:
        """Return what a rollout server may choose gateways by. Raises UpdateError."""
        state = await self.call("state", {})
        known = {kind: facts(state, kind) for kind in Kind}
        versions = {f"version.{kind}": found.version for kind, found in known.items() if found.version}
        kinds = ",".join(kind.value for kind, found in known.items() if found.supported)
        return {"reed": __version__, "kinds": kinds, **versions}


class Assembly:
    """All parts for one gateway, and those that the command line asks directly.

    Args:
        config: Of the gateway.
        applier: Path of the applier's socket.
    """

    def __init__(self, config: Config, applier: Path = APPLIER) -> None:
        self.folder = config.gateway.update_dir
        self.record = Record(self.folder)
        self.mailbox = Mailbox(self.folder)
        self._config = config
        self._clock = RealClock()
        self._ours = Ours(config, self._clock.wall)
        self._clock.learn(self._ours)
        self._guard = ControlGuard(config.control.socket)
        self._applier = KnownApplier(applier)
        self.hawkbit = self._hawkbit()

    def parts(self) -> Parts:
        """Return what a runner is made of. Raises StoreError."""
        update = self._config.update
        sources: list[Source] = [CloudSource(self._guard, update.deadline_s), LocalSource(self.mailbox)]
        guard: Guard = self._guard
        if self.hawkbit is not None:
            sources.append(self.hawkbit)
            guard = WindowGuard(self._guard, self.hawkbit, self._present)
        return Parts(
            record=self.record,
            mailbox=self.mailbox,
            sources={source.name: source for source in sources},
            guard=guard,
            applier=self._applier,
            fetcher=self._spooler(),
            signer=self._ours,
            clock=self._clock,
            window=update.parsed_window,
            kinds=update.kinds,
            timing=Timing(health_timeout_s=update.health_timeout_s),
        )

    def refresh(self) -> bool:
        """Take in the newest metadata of the server; blocks. Returns False if none is configured.

        Raises:
            UpdateError: They cannot be had, or not be trusted.
            StoreError: The disk does not take them.
        """
        trusts = self._trusts()
        if not self._config.update.url:
            return False
        trusts[0].refresh()
        return True

    async def stay_fresh(self) -> None:
        """Take in the newest metadata, unless a runner works: who shows us older ones later is found out."""
        with self.record.only_one() as is_ours:
            if is_ours:
                try:
                    await asyncio.to_thread(self.refresh)
                except UpdateError as error:
                    _log.warning("the metadata are not fresh: %s", error)

    def _trusts(self) -> list[Trusted]:
        """Return whoever has metadata, the server before what somebody brought."""
        fetchers = [FolderFetcher(self.folder / "spool" / "metadata")]
        web = self._web(self._config.update.url)
        known = self.folder / "tuf"
        trusts = [Trusted(known, root_file(), fetcher, self._clock.for_expiry) for fetcher in fetchers]
        if web is not None:
            trusts.insert(0, Trusted(known, root_file(), WebFetcher(web), self._clock.for_expiry))
        return trusts

    def _spooler(self) -> Spooler:
        return Spooler(
            self.folder / "spool", self._trusts(), self._web(self._config.update.url), self._device
        )

    def _device(self, order: Order) -> Device:
        return self._applier.device(self._config.gateway.id, order.kind)

    def _web(self, url: str) -> UpdateWeb | None:
        return UpdateWeb(url, self._ours) if url else None

    def _hawkbit(self) -> Hawkbit | None:
        update = self._config.update
        web = self._web(update.hawkbit_url)
        if web is None:
            return None
        settings = Settings(
            poll_s=update.poll_s,
            deadline_s=update.deadline_s,
            attributes=self._applier.attributes,
            objection=lambda: "updates are paused at the gateway" if self._is_paused() else "",
        )
        memory = Memory(self.folder / "hawkbit.json", self._clock)
        client = hawkbit_client.Client(web, update.hawkbit_tenant, self._config.gateway.id)
        return Hawkbit(client, memory, self._remembered, settings, self._clock)

    def _is_paused(self) -> bool:
        pause, clock = self.mailbox.paused(), self._clock
        return pause is not None and pause.left_s(clock.now_s(), clock.boot_id, clock.now_unix_s()) > 0

    def _present(self) -> Update | None:
        try:
            saved = self.record.load()
        except StoreError:
            return None
        return None if saved is None else saved.update

    def _remembered(self) -> list[Update]:
        present = self._present()
        try:
            ended = [ended.update for ended in self.record.done()]
        except StoreError:
            ended = []
        return ended if present is None else [*ended, present]


def _load_all() -> None:
    """Load what we may still need: our own files are about to be exchanged for another version's."""
    for package in (gateway.update, gateway.identity, gateway.control):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(ImportError):  # of hardware that this machine has not
                importlib.import_module(module.name)
