"""One client of the control socket: its frames in, replies out, one call at a time and in order.

Everything runs in the loop's callbacks; there is no task to lose. A client that sends garbage, sends too
much, stops reading or says nothing for long is told so where possible, and closed.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import cast

from gateway.control import peer as peers
from gateway.control import varlink
from gateway.control.gate import Gate
from gateway.control.peer import Peer
from gateway.domain.model import Json
from gateway.errors import ControlError

MAX_UNREAD_BYTES = 64 * 1024
"""Requests that wait, and replies that the client has not read: more than this of either stops it."""

INTERFACE = "org.reed.Gateway"

log = logging.getLogger(__name__)


class Ongoing:
    """A call that is being answered. `closing` is run after the last reply, or when the client leaves."""

    def __init__(self, call: varlink.Call, connection: "Connection", peer: Peer) -> None:
        self.call = call
        self.peer = peer
        self.closing = ExitStack()
        self._connection = connection
        self._answered = False

    @property
    def streams(self) -> bool:
        """The client takes more than one reply."""
        return self.call.more and not self.call.oneway

    @property
    def blocked(self) -> bool:
        """The client does not read; more replies would only pile up."""
        return self._connection.blocked

    def reply(self, parameters: Mapping[str, object], *, continues: bool = False) -> None:
        """Send a reply, the last one unless it `continues`."""
        self._send(varlink.encode_reply(parameters, continues=continues), last=not continues)

    def fail(self, error: str, /, **parameters: Json) -> None:
        """Send an error (a full name, or one of our own interface), which ends the call."""
        name = error if "." in error else f"{INTERFACE}.{error}"
        self._send(varlink.encode_error(name, parameters), last=True)

    def _send(self, frame: bytes, *, last: bool) -> None:
        if self._answered:
            return
        self._answered = last
        if last:
            # Before the client hears of it: nothing is held for a call that has been answered.
            self.closing.close()
        if not self.call.oneway:
            self._connection.write(frame)
        if last:
            self._connection.finished(self)


Method = Callable[[Ongoing], None]


class Connection(asyncio.Protocol):
    """A client, from its first byte to its last."""

    def __init__(
        self, methods: Mapping[str, Method], gate: Gate, clients: "set[Connection]", idle_s: float
    ) -> None:
        self.blocked = False
        self._methods = methods
        self._gate = gate
        self._clients = clients
        self._idle_s = idle_s
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._ongoing: Ongoing | None = None
        self._ended = False
        self._peer: Peer | None = None
        self._pause: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the client, or say why not."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=MAX_UNREAD_BYTES)
        try:
            peer = peers.of(transport.get_extra_info("socket"))
        except OSError:
            self._transport.abort()
            return
        if not self._gate.admit(peer.uid):
            self._refuse(ControlError("Busy", "too many connections to the gateway; close some of them"))
            return
        self._peer = peer
        self._clients.add(self)
        self._wait_for_client()

    def data_received(self, data: bytes) -> None:
        """Take in bytes and serve the first whole call."""
        if self._peer is None:
            return
        self._buffer += data
        if len(self._buffer) > MAX_UNREAD_BYTES:
            self._refuse(ControlError("Malformed", f"more than {MAX_UNREAD_BYTES} bytes wait to be answered"))
            return
        self._next()

    def eof_received(self) -> bool:
        """Finish what was asked by a client that only stopped sending; a stream has lost its reader."""
        self._ended = True
        streaming = self._ongoing is not None and self._ongoing.call.more
        return not streaming and (self._ongoing is not None or 0 in self._buffer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the reason changes nothing
        """Let go of everything that the client held."""
        self._stop_timers()
        if self._ongoing is not None:
            self._ongoing.closing.close()
        if self._peer is not None:
            self._clients.discard(self)
            self._gate.release(self._peer.uid, self._loop.time())
            self._peer = None

    def pause_writing(self) -> None:
        """Stop serving a client that does not read, and give it up after a while."""
        self.blocked = True
        self._wait_for_client()

    def resume_writing(self) -> None:
        """Go on serving."""
        self.blocked = False
        self._stop_waiting()
        self._loop.call_soon(self._next)

    def write(self, frame: bytes) -> None:
        """Send a frame, if there is still somebody to send it to."""
        if not self._transport.is_closing():
            self._transport.write(frame)

    def finished(self, ongoing: Ongoing) -> None:
        """Go on with the next call, in a later slice of the loop."""
        if self._ongoing is ongoing:
            self._ongoing = None
            self._loop.call_soon(self._next)

    def close(self) -> None:
        """End the connection after what was already sent."""
        self._transport.close()

    def _next(self) -> None:
        if self._peer is None or self._ongoing or self.blocked or self._pause or self._transport.is_closing():
            return
        end = self._buffer.find(0)
        if end < 0:
            if self._ended:
                self.close()
            elif self._patience is None:
                self._wait_for_client()
            return
        self._stop_waiting()
        frame = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        wait_s = self._gate.wait_s(self._peer.uid, self._loop.time())
        if wait_s:
            self._pause = self._loop.call_later(wait_s, self._serve_after_pause, frame)
        else:
            self._serve(frame)

    def _serve_after_pause(self, frame: bytes) -> None:
        self._pause = None
        self._serve(frame)

    def _serve(self, frame: bytes) -> None:
        if self._peer is None:
            return
        try:
            call = varlink.parse_call(frame)
        except ControlError as error:
            self._refuse(error)
            return
        ongoing = self._ongoing = Ongoing(call, self, self._peer)
        try:
            self._method(call.method)(ongoing)
        except ControlError as error:
            ongoing.fail(error.name, **varlink.facts(error))
        except Exception:
            # One client's call must end neither the others nor the daemon.
            log.exception("control call failed: %s", call.method)
            ongoing.fail(
                "Failed", command_id="", reason="internal", message="a fault of the gateway; see its log"
            )

    def _method(self, name: str) -> Method:
        if method := self._methods.get(name):
            return method
        interface = name.rpartition(".")[0]
        if any(known.startswith(f"{interface}.") for known in self._methods):
            raise ControlError(varlink.METHOD_NOT_FOUND, name)
        raise ControlError(varlink.INTERFACE_NOT_FOUND, interface)

    def _refuse(self, error: ControlError) -> None:
        self.write(varlink.encode_error(f"{INTERFACE}.{error.name}", varlink.facts(error)))
        self.close()

    def _wait_for_client(self) -> None:
        self._stop_waiting()
        self._patience = self._loop.call_later(self._idle_s, self._transport.abort)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _stop_timers(self) -> None:
        self._stop_waiting()
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
