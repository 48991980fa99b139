"""One run of the gateway, from the first look at the valves to the last flush.

    store -> board, valves found -> core -> READY -> control, link
                                      |
    SIGTERM: parts stop, last first --+--> outputs stay as they are

Protection waits a bounded time for the disk and for the board, and for nothing else.
"""

import asyncio
import functools
import gc
import logging
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gateway.app import failsafe_note, heartbeat, message_ids, reload
from gateway.app.board import assemble
from gateway.app.bulkhead import Patience
from gateway.app.clock import WallClock
from gateway.app.disk_reports import DiskReports
from gateway.app.emitter import Emitter
from gateway.app.ending import closing_commands
from gateway.app.execute import Executor
from gateway.app.hardware import DEVICE_PATIENCE, Hardware
from gateway.app.local import Local
from gateway.app.messages import Messages
from gateway.app.notify import Notifier, watchdog_interval_s
from gateway.app.parts import Parts
from gateway.app.tell_time import tell_time
from gateway.app.update_desk import UpdateDesk
from gateway.app.uplink import Uplink
from gateway.config.model import Config
from gateway.config.read import read
from gateway.control.server import serve
from gateway.domain.commands import Command, Publish, Remember
from gateway.domain.core import Core
from gateway.domain.events import AdapterFailed, AdapterRecovered, MemoryRead, ValveFound
from gateway.domain.model import Channel, Json
from gateway.errors import ConfigError
from gateway.link.blocking import Lane
from gateway.link.credentials import Credentials
from gateway.link.host import Host
from gateway.link.wire import Origin
from gateway.store.store import Store

log = logging.getLogger(__name__)

BOARD_WAIT_S = 5.0
"""Without its board the gateway starts all the same after this, and says so."""

_BOARD_PATIENCE = Patience(longest_pause_s=2.0)
"""All lines wait with one that comes and goes: a contact must not be unheard for a minute because of it."""

_STATUS_AFTER_S = 0.2
_CONFIG = "config"


class Gateway:
    """Wires the parts; `run` is its life.

    Args:
        config: In force until a reload.
        store: Open.
        reports: What the store has said so far.
        notifier: Tells systemd.
        boot_id: The kernel's.
    """

    def __init__(
        self, config: Config, store: Store, reports: DiskReports, notifier: Notifier, boot_id: str
    ) -> None:
        self._config, self._store, self._reports, self._notifier = config, store, reports, notifier
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reload = asyncio.Event()
        self._looked = asyncio.Event()
        self._marks = reload.marks(config.link)
        self._clock = _clock(store)
        self._core = Core(config.site, era=str(store.epoch))
        self._origin = Origin(config.gateway.id, boot_id, store.epoch)
        self._messages = Messages(store, self._origin, self._clock)
        self._emitter = Emitter(self._core, self._execute, self._fail)
        emit = self._emitter.emit
        self._hardware = Hardware(config, assemble(config), emit, self._take_over)
        store.on_late_memory = self._recall
        self._status: asyncio.TimerHandle | None = None
        self._executor = Executor(self._hardware, store, self._messages, self._clock, self._emitter.emit_soon)
        self._desk = UpdateDesk(
            core=self._core,
            disk=store,
            publish=self._messages.publish,
            execute=self._execute_one,
            emit=emit,
            folder=config.gateway.runtime_dir,
        )
        self._desk.recall(store.memory or {})
        self._local = Local(self._core, store, self._messages, emit, self._desk)
        self._uplink = Uplink(functools.partial(self._host, Lane()), self._local, emit, self._clock)

    async def run(self) -> None:
        """Protect the building until SIGTERM or SIGINT.

        Raises:
            Exception: Whatever made core or execution fail; the process must end.
        """
        self._listen_to_signals()
        async with asyncio.TaskGroup() as group:
            parts = Parts(group, self._emitter.emit)
            # as a task: who says stop during the start is heard at once
            starting = group.create_task(self._start(parts), name="start")
            try:
                await self._end
            finally:
                starting.cancel()
                await asyncio.wait([starting])
                if self._has_been_told_to_stop():
                    # only then: from here on systemd watches no more, and waits as long as a stop may take
                    self._notifier.stopping()
                self._executor.execute(closing_commands([*self._config.site.valves.values()]))
                await parts.stop_all()
                self._emitter.stop()
                self._remember_clock()
                self._remember_counts()

    # --- start --------------------------------------------------------------------------------------

    async def _start(self, parts: Parts) -> None:
        parts.start("board", self._hardware.run, _BOARD_PATIENCE)
        await self._first_look()
        for name, part in self._hardware.parts().items():
            parts.start(name, part, DEVICE_PATIENCE)
        self._reports.begin(self._messages.publish, self._emitter.emit)
        self._emitter.emit(AdapterRecovered(_CONFIG))
        parts.start("clock", functools.partial(heartbeat.save_clock, self._clock, self._store.remember))
        if self._config.site.meters:
            parts.start("time", functools.partial(tell_time, self._clock, self._emitter.emit))
        if (interval_s := watchdog_interval_s()) is not None:
            ping = functools.partial(heartbeat.ping, self._notifier, interval_s, self._emitter.overdue_s)
            parts.start("watchdog", ping)
        self._notifier.ready(self._local.headline())
        extra = {"message_id": message_ids.READY}
        log.info("ready: gateway %s, epoch %d", self._origin.gateway, self._origin.epoch, extra=extra)
        gc.freeze()
        parts.start("reload", functools.partial(self._serve_reloads, parts))
        await self._start_control(parts)
        await self._uplink.start(parts, self._config)

    async def _first_look(self) -> None:
        """Wait for the valves to be found, but not for ever."""
        try:
            async with asyncio.timeout(BOARD_WAIT_S):
                await self._looked.wait()
        except TimeoutError:
            log.error("no board after %.0f s; starting without valves and sensors", BOARD_WAIT_S)  # noqa: TRY400
            self._take_over(())
            for valve_id in self._config.valves:
                self._emitter.emit(AdapterFailed(f"valve/{valve_id}", "the board has not come yet"))

    def _take_over(self, found: Sequence[ValveFound]) -> None:
        """Start the core at the first look at the valves; report later looks."""
        if not self._looked.is_set():
            self._looked.set()
            memory = self._store.memory
            self._emitter.begin(functools.partial(self._core.start, memory, found, time.monotonic()))
            return
        for event in found:
            self._emitter.emit(event)

    def _recall(self, memory: Mapping[str, Json]) -> None:
        """The disk has told late what was remembered; before the first look the core takes it as it comes."""
        _raise_floor(self._clock, memory)
        self._desk.recall(memory)
        if self._looked.is_set():
            self._emitter.emit(MemoryRead(memory))

    async def _start_control(self, parts: Parts) -> None:
        parts.start("control", functools.partial(serve, self._config.control, self._local))

    def _host(self, lane: Lane, credentials: Credentials) -> Host:
        return Host(
            origin=self._origin,
            outbox=self._store,
            snapshot=self._local.snapshot,
            emit=self._emitter.emit,
            execute=self._execute_one,
            now=self._messages.stamp,
            credentials=credentials,
            order=self._desk.ask,
            lane=lane,
        )

    # --- while it runs ------------------------------------------------------------------------------

    def _execute(self, commands: Iterable[Command]) -> None:
        told = self._executor.execute(commands)
        if told and self._status is None:
            # later and once: the headline looks at the whole site
            self._status = asyncio.get_running_loop().call_later(_STATUS_AFTER_S, self._tell_status)

    def _tell_status(self) -> None:
        self._status = None
        self._notifier.status(self._local.headline())

    def _execute_one(self, command: Command) -> None:
        self._executor.execute((command,))

    def _fail(self, error: Exception) -> None:
        if not self._end.done():
            self._end.set_exception(error)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)

    def _has_been_told_to_stop(self) -> bool:
        return self._end.done() and not self._end.cancelled() and self._end.exception() is None

    def _stop(self) -> None:
        if not self._end.done():
            self._end.set_result(None)

    def _remember_clock(self) -> None:
        self._clock.take_network_time()
        self._store.remember(Remember(heartbeat.CLOCK_KEY, round(self._clock.floor_unix_s), urgent=False))

    def _remember_counts(self) -> None:
        """Keep what the core counted, unless it has not begun (and knows nothing) or failed."""
        if self._looked.is_set() and not self._end.cancelled() and self._end.exception() is None:
            self._executor.execute(self._core.stop(time.monotonic()))
            self._store.on_late_memory = self._remember_late

    def _remember_late(self, memory: Mapping[str, Json]) -> None:
        """The disk answers only during the stop: a total that began at 0 must not replace the one on it."""
        commands = [*self._core.handle(MemoryRead(memory), time.monotonic())]
        counts = (c for c in commands if isinstance(c, Remember) and c.key.startswith("meter/"))
        self._executor.execute(counts)

    # --- reload -------------------------------------------------------------------------------------

    async def _serve_reloads(self, parts: Parts) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._notifier.reloading()
            try:
                outcome = await self._read_again(parts)
            except ConfigError as error:
                outcome = "configuration refused, the old one stays in force"
                log.error("%s: %s", outcome, error)  # noqa: TRY400
                self._emitter.emit(AdapterFailed(_CONFIG, str(error)))
            self._notifier.ready(f"{self._local.headline()}; reload: {outcome}")

    async def _read_again(self, parts: Parts) -> str:
        new = await asyncio.to_thread(read, self._config.path)
        marks = await asyncio.to_thread(reload.marks, new.link)
        found = reload.changes(self._config, new, files_changed=marks != self._marks)
        self._marks = marks
        self._config = replace(
            self._config, link=new.link, identity=new.identity, control=new.control, update=new.update
        )
        if "control" in found.at_once:
            await asyncio.to_thread(failsafe_note.leave, self._config)
            await parts.stop("control")
            await self._start_control(parts)
        if {"link", "identity"} & {*found.at_once}:
            await self._uplink.stop(parts)
            await self._uplink.start(parts, self._config)
        self._emitter.emit(AdapterRecovered(_CONFIG))
        log.info("reload: %s", found)
        body: dict[str, Json] = {"applied": [*found.at_once], "needs_restart": [*found.restart]}
        self._execute_one(Publish(Channel.EVENT, "config", body))
        return str(found)


def _clock(store: Store) -> WallClock:
    clock = WallClock()
    _raise_floor(clock, store.memory or {})
    return clock


def _raise_floor(clock: WallClock, memory: Mapping[str, Json]) -> None:
    saved = memory.get(heartbeat.CLOCK_KEY)
    if isinstance(saved, int | float):
        clock.raise_floor(float(saved))
