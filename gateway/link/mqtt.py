"""One MQTT 5 connection: aiomqtt, with what it leaves out.

Import it late: aiomqtt and paho cost 25 ms and 4 MiB. Beyond aiomqtt 2.3 to 2.5 this adds:
the reason code of a PUBACK (a broker that refuses is not one that has taken), the broker's limits, a
connection that fails at once when TLS 1.3 refuses our certificate, TCP_NODELAY (else 40 ms steps), and a
publish without a task and a timer for each message. A connection that hangs does not hold up the process,
one that comes when nobody waits for it any more begins nothing, and who is turned away for who it is gets
another error than who meets a broker in trouble.
"""

import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final, cast

import aiomqtt
from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.errors import DeniedError, LinkError, TpmError
from gateway.link import refusal
from gateway.link.config import Config
from gateway.link.credentials import Access
from gateway.link.host import Host
from gateway.link.lent import LastProblem, Lent
from gateway.link.sockets import Unused, Watched

INCOMING_MAX: Final = 64
"""Commands waiting to be looked at; more are dropped, and the cloud repeats what was not answered."""
COMMAND_MAX_BYTES: Final = 16 * 1024
CLOSE_S: Final = 2.0

_RECEIVE_MAXIMUM: Final = 65535
_PACKET_MAXIMUM: Final = 268_435_455
_STEPS: Final = 3
"""Looking up the name, TCP, TLS: each may take `connect_timeout_s`."""


class Client(Watched):
    """A connection that has not begun; `open` begins it.

    Args:
        config: Times.
        access: Where to, and with which certificate.
        host: Who we are, and where what may hang runs.
        will: Topic and payload.
        on_ack: Called with the number that `send` gave and the reason code of the PUBACK.

    Attributes:
        receive_max: So many messages may be in flight, says the broker.
        packet_max_bytes: So long may a packet be, says the broker.
        refused: The broker answered, does not want us, and is not likely to change its mind soon.
        on_end: Called with the reason, if the connection ends by itself once the broker has let us in.
    """

    def __init__(
        self,
        config: Config,
        access: Access,
        host: Host,
        will: tuple[str, bytes],
        on_ack: Callable[[int, ReasonCode], None],
    ) -> None:
        self.receive_max = _RECEIVE_MAXIMUM
        self.packet_max_bytes = _PACKET_MAXIMUM
        self.refused = False
        self.on_end: Callable[[LinkError], None] = lambda _error: None
        self._in_tpm, self._release_key = access.in_tpm, access.release
        self._lane = host.lane
        self._lent = Lent(access.context)
        self._connecting = False
        self._connect_limit_s = config.connect_timeout_s * _STEPS
        self._code = 0  # of a CONNACK that refuses, or of a DISCONNECT from the broker
        self._on_ack = on_ack
        self._problem = LastProblem()
        logger = logging.Logger("reed.mqtt", logging.ERROR)  # noqa: LOG001  # ours alone, not in the tree
        logger.addHandler(self._problem)
        super().__init__(
            access.host,
            access.port,
            identifier=host.origin.gateway,
            protocol=aiomqtt.ProtocolVersion.V5,
            will=aiomqtt.Will(*will, qos=1),
            timeout=config.connect_timeout_s,
            keepalive=config.keepalive_s,
            max_queued_incoming_messages=INCOMING_MAX,
            max_inflight_messages=0,  # we bound it ourselves, and paho then skips a search at each ack
            tls_context=cast("ssl.SSLContext", self._lent),
            logger=logger,
        )
        self._client.connect_timeout = config.connect_timeout_s

    async def open(self) -> None:
        """Connect, as __aenter__ would but not in asyncio's executor.

        Raises:
            DeniedError: The broker turns us away for who we are.
            TpmError: Our key did not do its part.
            LinkError: Everything else.
        """
        try:
            await self._lane.run(
                f"connecting to {self._where}", self._connect, self._connect_limit_s, self.drop
            )
            connected = self._client.socket()
            if isinstance(connected, socket.socket):  # None if the broker was quicker to hang up
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._wait_for(self._connected, timeout=None)
        except (aiomqtt.MqttError, OSError, ValueError) as error:  # ValueError: a name that cannot be one
            explained = self._explain_opening(error)
            self.drop()
            raise explained from None
        except BaseException:
            self.drop()
            raise

    def _connect(self) -> None:
        self._connecting = True
        try:
            wanted = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
            wanted.MaximumPacketSize = COMMAND_MAX_BYTES + 1024
            self._client.connect(
                self._hostname, self._port, self._keepalive, clean_start=True, properties=wanted
            )
        finally:
            self._release_key()
            self._connecting = False

    async def close(self) -> None:
        """Say goodbye, for a bounded time; the broker then does not publish our will."""
        self.timeout = CLOSE_S
        with contextlib.suppress(aiomqtt.MqttError):
            await self.__aexit__(None, None, None)
        self.drop()

    def drop(self) -> None:
        """Close the socket, whatever state it is in; one that a thread still works with, when that ends."""
        self._dropped = True
        self._client._sock_close()  # noqa: SLF001  # paho has no public way that cannot wait
        if not self._connecting:
            self._lent.give_back()
        if self._disconnected.done() and not self._disconnected.cancelled():
            self._disconnected.exception()  # seen: asyncio need not complain

    async def hear(self, topic: str) -> None:
        """Subscribe. Raises DeniedError, LinkError."""
        try:
            (reason,) = await self.subscribe(topic, qos=1)
        except aiomqtt.MqttError as error:
            raise self._explain(error) from None
        if isinstance(reason, ReasonCode) and reason.is_failure:
            problem = f"{self._where}: it refuses the subscription to {topic}: {reason}"
            if refusal.by_code(reason.value):
                raise DeniedError(problem)
            raise LinkError(f"{problem}; check its access rules")

    async def next_command(self) -> aiomqtt.Message:
        """Return the next incoming message. Raises DeniedError, LinkError when the connection ends."""
        try:
            return await anext(self.messages)
        except aiomqtt.MqttError as error:
            raise self._explain(error.__cause__ or error) from None

    def send(self, topic: str, payload: bytes) -> int:
        """Begin a QoS 1 publish without blocking and return its number for `on_ack`.

        Raises:
            DeniedError: The connection has ended because we are not allowed to have it.
            LinkError: It has ended for another reason.
        """
        self._writing = True
        info = self._client.publish(topic, payload, 1)
        self._writing = False
        self._write()
        if info.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise self._explain(LinkError(f"cannot publish: {paho.error_string(info.rc)}"))
        return info.mid

    @property
    def _where(self) -> str:
        return f"broker {self._hostname}:{self._port}"

    def _explain_opening(self, error: BaseException) -> LinkError | TpmError:
        cause = self._problem.cause
        if self._in_tpm and (
            refusal.is_our_key(error) or refusal.is_our_key(cause) or self._hangs_in_handshake
        ):
            reason = str(error) or "no answer in time"
            return TpmError(f"the key in the TPM did not do its part in TLS: {reason}")
        if isinstance(error, TimeoutError) and self._lane.stuck:
            return LinkError(f"{self._lane.stuck} has not ended yet")
        return self._explain(error)

    def _explain(self, error: BaseException) -> LinkError:
        """Return what ended the connection: who we are, or anything else."""
        detail, cause = self._problem.text, self._problem.cause
        for seen in (error, cause):
            why, expired = refusal.by_alert(seen)
            if why:
                return DeniedError(f"{self._where}: {why}", expired=expired)
        if refusal.by_code(self._code):
            return DeniedError(f"{self._where}: it does not let us in: {error}")
        return LinkError(f"{self._where}: {error} ({detail})" if detail else f"{self._where}: {error}")

    @property
    def _hangs_in_handshake(self) -> bool:
        return self._connecting and self._lent.is_used

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Unused,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if reason_code.is_failure:
            self._code = reason_code.value
            self.refused = not refusal.may_pass(reason_code.value)
        self.receive_max = getattr(properties, "ReceiveMaximum", _RECEIVE_MAXIMUM)
        self.packet_max_bytes = getattr(properties, "MaximumPacketSize", _PACKET_MAXIMUM)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Unused,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        by_broker = flags.is_disconnect_packet_from_server
        if by_broker:
            # not from `reason_code`: paho 2.1 overlooks a reason that comes without properties
            packet = client._in_packet["packet"]  # noqa: SLF001
            self._code = self._code or (packet[0] if packet else 0)
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        if not self._connected.done() and not self._dropped:  # aiomqtt would wait for its timeout
            self._connected.set_exception(
                aiomqtt.MqttCodeError(reason_code, "Connection ended before CONNACK")
            )
        elif (by_broker or reason_code.is_failure) and self._was_let_in:
            said = reason_code if reason_code.is_failure else self._code
            self._end(aiomqtt.MqttCodeError(said, "Unexpected disconnection"))

    @property
    def _was_let_in(self) -> bool:
        connected = self._connected
        return connected.done() and not connected.cancelled() and connected.exception() is None

    def _end(self, error: aiomqtt.MqttError) -> None:
        for waiting in self._pending_subscribes.values():  # aiomqtt would wait for its timeout
            if not waiting.done():
                waiting.set_exception(error)
        self.on_end(self._explain(error))

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: Unused,
        mid: int,
        reason_code: ReasonCode,
        _properties: Properties,
    ) -> None:
        self._on_ack(mid, reason_code)
