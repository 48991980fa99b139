"""Live views: messages and snapshots to a client for as long as it reads, never more than it takes."""

import asyncio
from collections import deque
from collections.abc import Callable

import msgspec

from gateway.control.connection import Ongoing
from gateway.control.daemon import Daemon, Message
from gateway.domain.model import Json

COALESCE_S = 0.1
"""Changes closer than this reach a live view together."""

MAX_WAITING = 256
"""Messages kept for a client that does not read just now; older ones are counted, not kept."""

FIRST_MESSAGES = 50
"""What a live view begins with."""

SNAPSHOT_S = 0.05
"""All clients share one encoded view for so long: it costs the loop the same for one as for thirty."""


class Snapshots:
    """The daemon's view, encoded, hardly older than now."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._loop = asyncio.get_running_loop()
        self._encoded = msgspec.Raw()
        self._fresh_until_s = 0.0

    def view(self) -> msgspec.Raw:
        """Return the view as JSON."""
        now_s = self._loop.time()
        if now_s >= self._fresh_until_s:
            self._encoded = msgspec.Raw(msgspec.json.encode(self._daemon.view()))
            self._fresh_until_s = now_s + SNAPSHOT_S
        return self._encoded

    def forget(self) -> None:
        """Take a new one next time: a person who has just acted must see what it did."""
        self._fresh_until_s = 0.0


class _Backlog:
    """Messages on their way to one client."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque(maxlen=MAX_WAITING)
        self._missed = 0

    def add(self, message: Message) -> None:
        self._missed += len(self._waiting) == MAX_WAITING
        self._waiting.append(message)

    def take(self) -> dict[str, object]:
        """Return the two fields of a reply, and begin anew."""
        fields: dict[str, object] = {
            "messages": [_encodable(message) for message in self._waiting],
            "missed": self._missed,
        }
        self._waiting.clear()
        self._missed = 0
        return fields


class EventStream:
    """Answers GetEvents: the last messages, then (if the client wants more) each new one."""

    def __init__(self, ongoing: Ongoing, daemon: Daemon, limit: int | None) -> None:
        self._ongoing = ongoing
        self._daemon = daemon
        self._limit = limit
        self._backlog = _Backlog()
        self._pusher = _Pusher(ongoing, self._push)

    def start(self) -> None:
        """Send what there is."""
        recent = list(self._daemon.recent())
        messages = recent if self._limit is None else recent[max(0, len(recent) - self._limit) :]
        fields = {"messages": [_encodable(message) for message in messages], "missed": 0}
        if self._ongoing.streams:
            self._ongoing.closing.enter_context(self._daemon.on_message(self._tell))
        self._ongoing.reply(fields, continues=self._ongoing.streams)

    def _tell(self, message: Message) -> None:
        self._backlog.add(message)
        self._pusher.push_within(COALESCE_S)

    def _push(self) -> None:
        self._ongoing.reply(self._backlog.take(), continues=True)


class WatchStream:
    """Answers Watch: the whole view after every change and at a steady pace, with the messages between."""

    def __init__(self, ongoing: Ongoing, daemon: Daemon, snapshots: Snapshots, interval_s: float) -> None:
        self._ongoing = ongoing
        self._daemon = daemon
        self._snapshots = snapshots
        self._interval_s = interval_s
        self._backlog = _Backlog()
        self._pusher = _Pusher(ongoing, self._push)

    def start(self) -> None:
        """Send the first view and go on."""
        for message in list(self._daemon.recent())[-FIRST_MESSAGES:]:
            self._backlog.add(message)
        self._ongoing.closing.enter_context(self._daemon.on_message(self._tell))
        self._push()

    def _tell(self, message: Message) -> None:
        self._backlog.add(message)
        self._pusher.push_within(COALESCE_S)

    def _push(self) -> None:
        self._ongoing.reply({"view": self._snapshots.view(), **self._backlog.take()}, continues=True)
        self._pusher.push_within(self._interval_s)


class _Pusher:
    """Calls `push` within a time: an earlier wish replaces a later one, and a blocked client waits."""

    def __init__(self, ongoing: Ongoing, push: Callable[[], None]) -> None:
        self._ongoing = ongoing
        self._do_push = push
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        ongoing.closing.callback(self._stop)

    def push_within(self, delay_s: float) -> None:
        """Push in `delay_s` at the latest."""
        if self._timer is not None and self._timer.when() <= self._loop.time() + delay_s:
            return
        self._stop()
        self._timer = self._loop.call_later(delay_s, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._ongoing.blocked:
            self.push_within(COALESCE_S)
        else:
            self._do_push()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _encodable(message: Message) -> dict[str, Json]:
    return {
        "id": message.id,
        "channel": message.channel.name.lower(),
        "kind": message.kind,
        "body": dict(message.body),
        "at_unix_s": message.at_unix_s,
        "mono_s": message.mono_s,
    }
