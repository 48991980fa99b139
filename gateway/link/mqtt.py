"""One MQTT 5 connection: aiomqtt, with what it leaves out.

Import it late: aiomqtt and paho cost 25 ms and 4 MiB. Beyond aiomqtt 2.3 to 2.5 this adds:
the reason code of a PUBACK (a broker that refuses is not one that has taken), the broker's limits, a
connection that fails at once when TLS 1.3 refuses our certificate, TCP_NODELAY (else 40 ms steps), and a
publish without a task and a timer for each message. A connection that hangs does not hold up the process.
"""

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Final

import aiomqtt
from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.errors import LinkError
from gateway.link.blocking import run_blocking
from gateway.link.config import Config

INCOMING_MAX: Final = 64
"""Commands waiting to be looked at; more are dropped, and the cloud repeats what was not answered."""
COMMAND_MAX_BYTES: Final = 16 * 1024
CLOSE_S: Final = 2.0

_MESSAGE_REFUSED: Final = frozenset({0x90, 0x95, 0x99})
"""Topic name invalid, packet too large, payload format invalid: about this message, not about us."""
_NO_SUBSCRIBERS: Final = 0x10
_RECEIVE_MAXIMUM: Final = 65535
_PACKET_MAXIMUM: Final = 268_435_455

# paho leaves what its callbacks pass through, and its sockets, untyped
_Unused = Any


class _LastProblem(logging.Handler):
    """Paho names the cause of a lost connection (a TLS alert, say) in its log and nowhere else."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


class Client(aiomqtt.Client):
    """A connection that has not begun; `open` begins it.

    Args:
        on_ack: Called with the number that `send` gave and the reason code of the PUBACK.

    Attributes:
        receive_max: So many messages may be in flight, says the broker.
        packet_max_bytes: So long may a packet be, says the broker.
        refused: The broker answered and does not want us.
    """

    def __init__(
        self,
        config: Config,
        gateway_id: str,
        context: ssl.SSLContext,
        will: tuple[str, bytes],
        on_ack: Callable[[int, ReasonCode], None],
    ) -> None:
        self.receive_max = _RECEIVE_MAXIMUM
        self.packet_max_bytes = _PACKET_MAXIMUM
        self.refused = False
        self._on_ack = on_ack
        self._writing = False
        self._thread = threading.get_ident()
        self._problem = _LastProblem()
        logger = logging.Logger("reed.mqtt", logging.ERROR)  # noqa: LOG001  # ours alone, not in the tree
        logger.addHandler(self._problem)
        super().__init__(
            config.host,
            config.port,
            identifier=gateway_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            will=aiomqtt.Will(*will, qos=1),
            timeout=config.connect_timeout_s,
            keepalive=config.keepalive_s,
            max_queued_incoming_messages=INCOMING_MAX,
            max_inflight_messages=0,  # we bound it ourselves, and paho then skips a search at each ack
            tls_context=context,
            logger=logger,
        )
        self._client.connect_timeout = config.connect_timeout_s

    async def open(self) -> None:
        """Connect, as __aenter__ would but not in asyncio's executor. Raises LinkError."""
        try:
            await run_blocking(self._connect, if_late=self.drop)
            connected = self._client.socket()
            if isinstance(connected, socket.socket):  # None if the broker was quicker to hang up
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._wait_for(self._connected, timeout=None)
        except (aiomqtt.MqttError, OSError, ValueError) as error:  # ValueError: a name that cannot be one
            self.drop()
            raise LinkError(self._explain(error)) from None
        except BaseException:
            self.drop()
            raise

    def _connect(self) -> None:
        wanted = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        wanted.MaximumPacketSize = COMMAND_MAX_BYTES + 1024
        self._client.connect(self._hostname, self._port, self._keepalive, clean_start=True, properties=wanted)

    async def close(self) -> None:
        """Say goodbye, for a bounded time; the broker then does not publish our will."""
        self.timeout = CLOSE_S
        with contextlib.suppress(aiomqtt.MqttError):
            await self.__aexit__(None, None, None)
        self.drop()

    def drop(self) -> None:
        """Close the socket, whatever state it is in."""
        self._client._sock_close()  # noqa: SLF001  # paho has no public way that cannot wait
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # seen: asyncio need not complain

    async def hear(self, topic: str) -> None:
        """Subscribe. Raises LinkError."""
        try:
            (reason,) = await self.subscribe(topic, qos=1)
        except aiomqtt.MqttError as error:
            raise LinkError(self._explain(error)) from None
        if isinstance(reason, ReasonCode) and reason.is_failure:
            raise LinkError(
                f"the broker refuses the subscription to {topic}: {reason}; check its access rules"
            )

    async def next_command(self) -> aiomqtt.Message:
        """Return the next incoming message. Raises LinkError when the connection ends."""
        try:
            return await anext(self.messages)
        except aiomqtt.MqttError as error:
            raise LinkError(self._explain(error.__cause__ or error)) from None

    def send(self, topic: str, payload: bytes) -> int:
        """Begin a QoS 1 publish without blocking and return its number for `on_ack`. Raises LinkError."""
        self._writing = True
        info = self._client.publish(topic, payload, 1)
        self._writing = False
        self._write()
        if info.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkError(f"cannot publish: {paho.error_string(info.rc)}")
        return info.mid

    def _explain(self, error: BaseException) -> str:
        detail, self._problem.text = self._problem.text, ""
        where = f"broker {self._hostname}:{self._port}"
        return f"{where}: {error} ({detail})" if detail else f"{where}: {error}"

    def _on_connect(
        self,
        client: paho.Client,
        userdata: _Unused,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self.refused = reason_code.is_failure
        self.receive_max = getattr(properties, "ReceiveMaximum", _RECEIVE_MAXIMUM)
        self.packet_max_bytes = getattr(properties, "MaximumPacketSize", _PACKET_MAXIMUM)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: _Unused,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        if not self._connected.done():  # aiomqtt would wait for its timeout
            self._connected.set_exception(
                aiomqtt.MqttCodeError(reason_code, "Connection ended before CONNACK")
            )

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: _Unused,
        mid: int,
        reason_code: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._on_ack(mid, reason_code)

    def _on_socket_register_write(self, _client: paho.Client, _userdata: _Unused, sock: _Unused) -> None:
        if self._writing:
            return  # it is written at once: two system calls less than by way of the selector
        # on the loop's own thread a detour would cost another one, and may find the socket closed
        if threading.get_ident() == self._thread:
            self._loop.add_writer(sock.fileno(), self._write)
        else:
            self._loop.call_soon_threadsafe(self._watch_write, sock)

    def _watch_write(self, sock: _Unused) -> None:
        present = self._client.socket()
        if present is sock and present is not None:  # else closed meanwhile, and its number reused
            self._loop.add_writer(present.fileno(), self._write)

    def _write(self) -> None:
        try:
            self._client.loop_write()
            if self._client.want_write():
                self._watch_write(self._client.socket())
        except Exception as error:  # noqa: BLE001  # whatever it is, this connection is over
            if not self._disconnected.done():
                self._disconnected.set_exception(error)


def was_heard(reason: ReasonCode) -> bool:
    """Whether the broker had a subscriber to pass the message on to (not every broker tells)."""
    return reason.value != _NO_SUBSCRIBERS


def about_message(reason: ReasonCode) -> bool:
    """Whether the broker refused this one message, rather than us or everything."""
    return reason.value in _MESSAGE_REFUSED
