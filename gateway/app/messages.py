"""What the core says: to the outbox for the cloud, to the log, and to whoever listens on this machine."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from gateway.app.clock import WallClock
from gateway.app.narrate import narrate
from gateway.control.daemon import Message
from gateway.domain.commands import AnswerRequest, Publish
from gateway.domain.model import Channel, Json
from gateway.domain.ports import MessageId
from gateway.link import wire
from gateway.store.store import Store

_KEPT = 500
"""Messages for `events`; the outbox has its own, larger bound."""

_LOCAL_PREFIX = "local-"
"""Ids of requests from the control socket: whoever hung up before the answer does not want it elsewhere."""


class Messages:
    """Sends messages on their way.

    Args:
        store: Queues them.
        origin: Who speaks.
        clock: Stamps them.
    """

    def __init__(self, store: Store, origin: wire.Origin, clock: WallClock) -> None:
        self._store = store
        self.origin = origin
        self.clock = clock
        self._recent: deque[Message] = deque(maxlen=_KEPT)
        self._listeners: set[Callable[[Message], None]] = {narrate}
        self._waiting: dict[str, Callable[[AnswerRequest], None]] = {}

    def stamp(self) -> wire.Stamp:
        """Return the present moment on both clocks."""
        clock = self.clock
        return wire.Stamp(time.monotonic(), clock.now_unix_s(), clock.trusted(), clock.floor_unix_s)

    def publish(self, publish: Publish, on_durable: Callable[[], None] | None = None) -> None:
        """Queue a message and tell the local listeners."""
        stamp = self.stamp()
        number = self._put(publish.channel, publish.kind, publish.body, stamp, on_durable)
        message = Message(
            id=f"{number.epoch}/{number.seq}",
            channel=publish.channel,
            kind=publish.kind,
            body=publish.body,
            at_unix_s=stamp.unix_s if stamp.trusted else None,
            mono_s=stamp.mono_s,
        )
        self._recent.append(message)
        for tell in tuple(self._listeners):
            tell(message)

    def answer(self, answer: AnswerRequest) -> None:
        """Tell who asked: the cloud through the outbox, a local caller once the disk has what was done."""
        if answer.command_id in self._waiting:
            self._store.when_settled(partial(self._tell, answer))
        elif not answer.command_id.startswith(_LOCAL_PREFIX):
            self._put(Channel.ACK, "answer", wire.answer_body(answer), self.stamp())

    def _tell(self, answer: AnswerRequest) -> None:
        tell = self._waiting.get(answer.command_id)
        if tell is not None:  # else: hung up meanwhile
            tell(answer)

    def recent(self) -> tuple[Message, ...]:
        """Return the last messages, oldest first."""
        return tuple(self._recent)

    @contextmanager
    def on_message(self, tell: Callable[[Message], None]) -> Iterator[None]:
        """While entered, call `tell` for each message."""
        self._listeners.add(tell)
        try:
            yield
        finally:
            self._listeners.discard(tell)

    @contextmanager
    def on_answer(self, command_id: str, tell: Callable[[AnswerRequest], None]) -> Iterator[None]:
        """While entered, call `tell` for each answer to this request."""
        self._waiting[command_id] = tell
        try:
            yield
        finally:
            self._waiting.pop(command_id, None)

    def _put(
        self,
        channel: Channel,
        kind: str,
        body: Mapping[str, Json],
        stamp: wire.Stamp,
        on_durable: Callable[[], None] | None = None,
    ) -> MessageId:
        origin = self.origin
        return self._store.put(
            channel, lambda number: wire.encode(origin, number.seq, kind, body, stamp), on_durable
        )
