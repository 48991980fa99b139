"""One session with the broker: present state first, then alarms, then the backlog; commands come in.

    take --> [ room? pace? window? ] --> send --> PUBACK --> outbox.published --> receipt --> outbox.received

Sending pauses after each 0.1 ms, so that a valve never waits for a burst of ours. A session that hands over
to the next one takes nothing new and ends when all that it sent is confirmed: then nothing is sent twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from paho.mqtt.reasoncodes import ReasonCode

from gateway.domain.ports import MessageId, OutboxRow
from gateway.errors import DeniedError, LinkError
from gateway.link import mqtt, refusal, wire
from gateway.link.config import Config
from gateway.link.credentials import Access
from gateway.link.host import Host
from gateway.link.inbox import Inbox
from gateway.link.pace import Pace
from gateway.link.state import State
from gateway.link.suspects import Suspects
from gateway.link.window import Window

_LOOK_IDLE_S: Final = 5.0
_LOOK_BUSY_S: Final = 0.5
_PACKET_OVERHEAD_BYTES: Final = 256
_FAREWELL_S: Final = 1.0
_HAND_OVER_S: Final = 5.0
"""A cloud that does not confirm within this time gets some messages twice."""
_SLICE_S: Final = 0.0001
"""After so long the loop looks at everything else."""
_BURST_S: Final = 0.1
"""The pace allows a burst of this long."""


class Session:
    """Lives from CONNECT to the end of the connection.

    Attributes:
        healthy: The broker works for us, so a later cut may be the fault of a message.
        greeted: The cloud may believe that we are online.
        is_open: The broker has let us in and taken the present state.
    """

    def __init__(self, config: Config, host: Host, inbox: Inbox, suspects: Suspects) -> None:
        self.healthy = False
        self.greeted = False
        self.is_open = False
        self._config, self._host, self._inbox, self._suspects = config, host, inbox, suspects
        self._state = State(host)
        self._loop = asyncio.get_running_loop()
        self._flight: dict[int, tuple[MessageId | None, float]] = {}
        self._room = asyncio.Event()
        self._taken: list[MessageId] = []
        self._slice_ends_s = 0.0
        confirms = config.receipts == "cloud"
        self._window = Window(config.unreceipted_max if confirms else 0, config.receipt_timeout_s)
        self._pace = Pace(config.replay_per_s, max(1.0, config.replay_per_s * _BURST_S))
        self._failure: LinkError | None = None
        self._over = asyncio.Event()
        self._leaving = asyncio.Event()
        self._client: mqtt.Client | None = None

    @property
    def in_flight(self) -> list[MessageId]:
        """Queued messages that the broker has not acknowledged."""
        return [message for message, _ in self._flight.values() if message is not None]

    @property
    def refused(self) -> bool:
        """The broker answered CONNECT and does not want us."""
        return self._client is not None and self._client.refused

    async def open(self, access: Access) -> None:
        """Connect, listen for commands, have the present state acknowledged.

        Raises:
            DeniedError: The broker turns us away for who we are.
            TpmError: Our key did not do its part.
            LinkError: Everything else.
        """
        host, state = self._host, self._state
        gateway = host.origin.gateway
        will = (state.topic, state.status(online=False, reason="lost"))
        self._client = mqtt.Client(self._config, access, host, will, self._acknowledged)
        self._client.on_end = self._fail  # also while nobody waits for a message
        await self._client.open()
        await self._client.hear(wire.command_topic(gateway, "#"))
        await self._say_state()
        self.greeted = True
        await self._send(state.topic, state.status(online=True, reason="connected"))
        await self._settle(self._config.ack_timeout_s)
        self.is_open = True

    def hand_over(self) -> None:
        """Let `run` return as soon as all that was sent is confirmed, or after a bounded time."""
        self._leaving.set()

    async def run(self) -> None:
        """Serve until cancelled or told to hand over. Raises DeniedError, LinkError when it breaks."""
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self._guard(part), name=f"link{part.__name__}")
                for part in (self._drain, self._listen, self._watch)
            ]
            drain = running[0]
            running.append(tasks.create_task(self._guard(partial(self._leave, drain)), name="link_leave"))
            await self._over.wait()
            for task in running:
                task.cancel()
        if self._failure is not None:
            raise self._failure

    async def _guard(self, part: Callable[[], Awaitable[None]]) -> None:
        # a TaskGroup that fails by itself would swallow a cancellation of the same moment (Python 3.11)
        try:
            await part()
        except LinkError as error:
            self._fail(error)

    def _fail(self, error: LinkError) -> None:
        self._failure = self._failure or error
        self._over.set()
        self._room.set()

    async def _leave(self, drain: "asyncio.Task[None]") -> None:
        await self._leaving.wait()
        drain.cancel()  # what it has taken and not sent is put back
        try:
            async with asyncio.timeout(_HAND_OVER_S):
                while self._flight or self._window.expected:
                    await self._more_room()
        except TimeoutError:
            pass  # the cloud is away; it will know the copies
        self._over.set()

    async def close(self, reason: str | None) -> None:
        """End the connection; with a reason, say it first (for a bounded time). Never raises LinkError."""
        if self._client is None:
            return
        try:
            if reason is not None:
                await self._say_goodbye(self._client, reason)
        finally:
            self._client.drop()
            self._tell_store()  # what call_soon would tell it after `put_back`

    async def _say_goodbye(self, client: mqtt.Client, reason: str) -> None:
        try:
            async with asyncio.timeout(_FAREWELL_S):
                await self._send(self._state.topic, self._state.status(online=False, reason=reason))
                await self._settle(_FAREWELL_S)
        except (LinkError, TimeoutError):
            return
        await client.close()

    async def _settle(self, patience_s: float, left: int = 0) -> None:
        """Wait until all that was sent is acknowledged, but for so many. Raises LinkError."""
        try:
            async with asyncio.timeout(patience_s):
                while len(self._flight) > left:
                    await self._more_room()
        except TimeoutError:
            raise LinkError(f"the broker did not acknowledge a message for {patience_s:g} s") from None

    # --- out ----------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        outbox = self._host.outbox
        while True:
            count = await self._allowance()
            rows = await outbox.take(count)
            self._pace.allowance(self._loop.time())
            self._pace.spend(len(rows))
            for row in rows:
                await self._send_row(row)

    async def _send_row(self, row: OutboxRow) -> None:
        if len(row.payload) + _PACKET_OVERHEAD_BYTES > self._connected.packet_max_bytes:
            self._host.outbox.set_aside(row.id, f"larger than the broker takes: {len(row.payload)} bytes")
            return
        await self._send(wire.up_topic(self._host.origin.gateway, row.channel), row.payload, row.id)

    async def _allowance(self) -> int:
        """Return how many messages may be taken now; at least one."""
        while True:
            free, ahead = self._limit - len(self._flight), self._window.room
            free = free if ahead is None else min(free, ahead)
            if free < 1:
                await self._more_room()
                continue
            paced = self._pace.allowance(self._loop.time())
            if paced is None or paced >= 1:
                return free if paced is None else min(free, paced)
            await asyncio.sleep(self._pace.wait_s())

    async def _send(self, topic: str, payload: bytes, message: MessageId | None = None) -> None:
        if len(self._flight) >= self._limit:
            await self._settle(self._config.ack_timeout_s, self._limit - 1)
        if self._failure is not None:
            raise self._failure
        now_s = self._loop.time()
        mid = self._connected.send(topic, payload)
        self._flight[mid] = (message, now_s)
        if now_s >= self._slice_ends_s:
            await asyncio.sleep(0)
            self._slice_ends_s = self._loop.time() + _SLICE_S

    @property
    def _connected(self) -> mqtt.Client:
        if self._client is None:
            raise LinkError("there is no connection yet")
        return self._client

    @property
    def _limit(self) -> int:
        return 1 if self._suspects.any else min(self._config.in_flight, self._connected.receive_max)

    async def _more_room(self) -> None:
        self._room.clear()
        await self._room.wait()
        if self._failure is not None:
            raise self._failure

    def _acknowledged(self, mid: int, reason: ReasonCode) -> None:
        message, _ = self._flight.pop(mid, (None, 0.0))
        self._room.set()
        if reason.is_failure:
            self._refused(message, reason)
            return
        self.healthy = True
        if message is not None:
            self._suspects.delivered(message)
            self._window.published(message, self._loop.time(), heard=refusal.was_heard(reason.value))
            if not self._taken:
                self._loop.call_soon(self._tell_store)  # one call for all that came in one packet
            self._taken.append(message)

    def _tell_store(self) -> None:
        taken, self._taken = self._taken, []
        if not taken:
            return
        self._host.outbox.published(taken)

    def _refused(self, message: MessageId | None, reason: ReasonCode) -> None:
        if message is not None and refusal.about_message(reason.value):
            self._host.outbox.set_aside(message, f"the broker refuses it: {reason}")
            return
        question = f"may {self._host.origin.gateway} write to {self._state.topic}?"
        problem = f"the broker refuses what we publish: {reason}; {question}"
        self._fail(DeniedError(problem) if refusal.by_code(reason.value) else LinkError(problem))

    # --- in -----------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        client = self._connected
        while True:
            message = await client.next_command()
            kind = wire.command_kind(self._host.origin.gateway, str(message.topic))
            if kind is None or not isinstance(message.payload, bytes | bytearray):
                continue
            told = await self._inbox.take(kind, bytes(message.payload), retained=message.retain)
            if told is not None:
                self._window.received(told.epoch, told.through, told.also)
                self._host.outbox.received(told.epoch, told.through, told.also)
                self._room.set()
            await asyncio.sleep(0)

    # --- time ---------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Notice what TCP and MQTT do not: no PUBACK ends the session, no receipt sends all again."""
        snapshot_at_s = self._loop.time() + self._config.snapshot_every_s
        while True:
            busy = self._flight or len(self._window)
            await asyncio.sleep(_LOOK_BUSY_S if busy else _LOOK_IDLE_S)
            now_s = self._loop.time()
            self._check_overdue(now_s)
            if now_s >= snapshot_at_s:
                snapshot_at_s = now_s + self._config.snapshot_every_s
                await self._say_state()

    def _check_overdue(self, now_s: float) -> None:
        _, sent_s = next(iter(self._flight.values()), (None, now_s))
        if now_s - sent_s > self._config.ack_timeout_s:
            raise LinkError(f"the broker did not acknowledge a message for {now_s - sent_s:.0f} s")
        if self._window.overdue(now_s) and not self._flight:
            self._window.start_over()
            self._host.outbox.put_back()
            self._room.set()

    async def _say_state(self) -> None:
        for payload in self._state.snapshot(self._connected.packet_max_bytes):
            await self._send(self._state.topic, payload)
