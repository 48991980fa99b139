"""A small working cloud end: keeps each message once, sends signed receipts and commands, sees gaps.

What docs/protocol.md asks of the other side, in as few lines as it takes. It keeps everything in memory.
"""

import asyncio
import bisect
import contextlib
import json
import secrets
import ssl
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiomqtt
import jwt

from gateway.app.apart import run_apart
from gateway.cli.demo.credentials import Credentials
from gateway.errors import DecodeError, LinkError
from gateway.link import envelope, wire

_RECEIPT_AFTER_S = 0.05
_RECONNECT_S = 0.2

Message = Mapping[str, Any]  # decoded JSON


@dataclass(slots=True)
class Seen:
    """Which seqs of one epoch are accounted for: received, or explained by a gap message."""

    through: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)
    """Beyond `through`; sorted, disjoint, not adjacent; both ends included."""

    def add(self, first: int, last: int) -> None:
        """Account for these seqs."""
        merged: list[tuple[int, int]] = []
        first = max(first, self.through + 1)
        if last < first:
            return
        for low, high in self.ranges:
            if high < first - 1 or low > last + 1:
                merged.append((low, high))
            else:
                first, last = min(low, first), max(high, last)
        bisect.insort(merged, (first, last))
        if merged[0][0] == self.through + 1:
            self.through = merged.pop(0)[1]
        self.ranges = merged


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it came in, duplicates included."""

    topic: str
    message: Message
    at_s: float
    """Monotonic seconds of this machine."""


class Cloud:
    """Everything that gateways told us.

    Attributes:
        held: The first copy of each counted message, by (gateway, epoch, seq).
        arrivals: Every payload in order of arrival, including copies and state messages.
        copies: How often a message came that was held already.
        seen: What is accounted for, by (gateway, epoch).
        receipts: Whether to send receipts.
    """

    def __init__(self, own: Credentials, host: str, port: int, *, receipts: bool = True) -> None:
        self.held: dict[tuple[str, int, int], Message] = {}
        self.arrivals: list[Arrival] = []
        self.copies: Counter[tuple[str, int, int]] = Counter()
        self.unreadable = 0
        self.seen: defaultdict[tuple[str, int], Seen] = defaultdict(Seen)
        self.receipts = receipts
        self._own, self._host, self._port = own, host, port
        self._command_key = own.command_key_file.read_bytes()
        self._client: aiomqtt.Client | None = None
        self._unconfirmed: set[tuple[str, int]] = set()
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Serve until cancelled; a lost broker is tried again."""
        while True:
            await run_apart(self._attempt())
            await asyncio.sleep(_RECONNECT_S)

    async def _attempt(self) -> None:
        with contextlib.suppress(aiomqtt.MqttError, OSError):
            await self._session()

    async def _session(self) -> None:
        context = ssl.create_default_context(cafile=str(self._own.ca_file))
        context.load_cert_chain(self._own.cert_file, self._own.key_file)
        identifier = f"{self._own.name}-{secrets.token_hex(4)}"
        async with aiomqtt.Client(
            self._host,
            self._port,
            identifier=identifier,
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=context,
        ) as client:
            await client.subscribe("reed/v1/+/up/#", qos=1)
            self._client = client
            await self._tell()
            try:
                async with asyncio.TaskGroup() as tasks:
                    # apart: aiomqtt waits with wait_for, and a group tells its tasks only once to end
                    tasks.create_task(run_apart(self._confirm(client)), name="receipts")
                    tasks.create_task(run_apart(self._read(client)), name="messages")
            except* (aiomqtt.MqttError, OSError) as group:
                raise group.exceptions[0] from None
            finally:
                self._client = None
                await self._tell()

    async def _read(self, client: aiomqtt.Client) -> None:
        async for incoming in client.messages:
            await self._take(str(incoming.topic), bytes(incoming.payload))

    async def _take(self, topic: str, payload: bytes) -> None:
        try:
            envelope.decode(payload)
        except DecodeError:
            self.unreadable += 1
            return
        message = json.loads(payload)
        self.arrivals.append(Arrival(topic, message, time.monotonic()))
        if message["seq"] is not None:
            self._hold(message)
        await self._tell()

    def _hold(self, message: Message) -> None:
        gateway, epoch, seq = key = (message["gateway"], message["epoch"], message["seq"])
        self._unconfirmed.add((gateway, epoch))
        if key in self.held:
            self.copies[key] += 1
            return
        self.held[key] = message
        self.seen[gateway, epoch].add(seq, seq)
        if message["kind"] == "gap":
            for lost in message["body"]["ranges"]:
                self.seen[gateway, lost["epoch"]].add(lost["first"], lost["last"])
                self._unconfirmed.add((gateway, lost["epoch"]))

    async def _confirm(self, client: aiomqtt.Client) -> None:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self.receipts and self._unconfirmed)
            await asyncio.sleep(_RECEIPT_AFTER_S)  # one receipt for many
            waiting, self._unconfirmed = self._unconfirmed, set()
            for gateway, epoch in waiting:
                seen = self.seen[gateway, epoch]
                claims = {
                    "v": wire.VERSION,
                    "gateway": gateway,
                    "epoch": epoch,
                    "through": seen.through,
                    "also": seen.ranges[-100:],
                }
                await client.publish(wire.command_topic(gateway, "receipt"), self.sign(claims), qos=1)

    def sign(self, claims: Mapping[str, Any], key: bytes | None = None) -> bytes:
        """Return a compact JWS over the claims."""
        payload = json.dumps(claims).encode()
        return jwt.PyJWS().encode(payload, key or self._command_key, algorithm="ES256").encode()

    def claims(self, kind: str, body: Mapping[str, Any], **changes: object) -> dict[str, Any]:
        """Return a valid command's claims, with `changes`."""
        now = time.time()
        claims: dict[str, Any] = {
            "v": wire.VERSION,
            "id": secrets.token_urlsafe(12),
            "gateway": self._own.gateway_id,
            "kind": kind,
            "issued_at": now,
            "not_after": now + 60,
            "actor": "alice@example.com",
            "cause": "asked for by the demo",
            "step_up": False,
            "body": dict(body),
        }
        return claims | changes

    async def command(self, kind: str, body: Mapping[str, Any], **changes: object) -> str:
        """Send a signed command to the gateway and return its id. Raises LinkError."""
        claims = self.claims(kind, body, **changes)
        await self.send(kind, self.sign(claims))
        return str(claims["id"])

    async def send(self, kind: str, payload: bytes) -> None:
        """Put bytes on the gateway's command topic. Raises LinkError."""
        if self._client is None:
            raise LinkError("the cloud has no session with the broker now; try again")
        await self._client.publish(wire.command_topic(self._own.gateway_id, kind), payload, qos=1)

    def answers(self, command_id: str) -> list[tuple[str, str]]:
        """Return (state, reason) of every answer to this command so far, in order."""
        return [
            (message["body"]["state"], message["body"]["reason"])
            for message in self.held.values()
            if message["kind"] == "answer" and message["body"]["command_id"] == command_id
        ]

    def since(self, since_s: float) -> list[Arrival]:
        """Return what came since then, copies included."""
        return [arrival for arrival in self.arrivals if arrival.at_s >= since_s]

    def status(self, since_s: float = 0.0) -> tuple[bool, str] | None:
        """Return (online, reason) as last said of a gateway since then; None if nothing was."""
        for arrival in reversed(self.arrivals):
            if arrival.at_s < since_s:
                break
            if arrival.message["kind"] == "status":
                return arrival.message["body"]["online"], arrival.message["body"]["reason"]
        return None

    @property
    def connected(self) -> bool:
        """Whether there is a session with the broker."""
        return self._client is not None

    async def until(self, condition: Callable[["Cloud"], object], timeout_s: float = 10.0) -> None:
        """Return as soon as the condition holds; it is looked at after each message.

        Raises:
            TimeoutError: It did not hold in time.
        """
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: condition(self))

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
