"""Questions to mosquitto's dynamic-security plugin, over MQTT as the client "broker-admin".

The plugin publishes each answer to everybody who may read the response topic, other administrators included,
so a question carries a correlation that nobody else uses (mosquitto 2.0, plugins/dynamic-security/README.md).
"""

import json
import math
import os
import secrets
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from cloud.brokers.mosquitto.rights import CONTROL_TOPIC, RESPONSE_TOPIC, Entry
from cloud.brokers.names import ADMIN
from cloud.brokers.settings import Settings
from cloud.errors import BrokerError
from cloud.home import Home

_HOST = "localhost"
_FAILURE = 0x80
"""The first MQTT 5 reason code that is a failure."""


def client_context(home: Home, service: str) -> ssl.SSLContext:
    """Return a context with a service's certificate that trusts our roots. Raises BrokerError."""
    try:
        context = ssl.create_default_context(cafile=str(home.roots_file))
        context.load_cert_chain(home.cert_file(service), home.key_file(service))
    except OSError as error:  # ssl.SSLError is one, too
        raise BrokerError(
            f"the certificate of {service} in {home.services} cannot be used: {error}"
        ) from error
    return context


@dataclass(slots=True)
class _Told:
    """What paho has told us, within its `loop`. Knows no client, so that nothing keeps one alive.

    Args:
        name: The client id; each of our correlations begins with it.
    """

    name: str
    is_connected: bool = False
    failure: str = ""
    granted: set[int] = field(default_factory=set)
    answers: dict[str, Entry] = field(default_factory=dict)

    def listen(self, client: mqtt.Client) -> None:
        """Have this client tell."""
        client.on_socket_open = _without_delay
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_publish = self._published
        client.on_message = self._received

    def _connected(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:  # noqa: ANN401  # paho's
        if reason.is_failure:
            self.failure = f"refuses the certificate of {ADMIN}: {reason}"
        self.is_connected = True

    def _disconnected(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:  # noqa: ANN401
        self.failure = self.failure or f"closed the connection: {reason}"

    def _subscribed(self, _c: Any, _u: Any, message_id: int, reasons: Any, _p: Any) -> None:  # noqa: ANN401
        self._judge(reasons[0])
        self.granted.add(message_id)

    def _published(self, _c: Any, _u: Any, _m: int, reason: Any, _p: Any) -> None:  # noqa: ANN401
        self._judge(reason)

    def _judge(self, reason: Any) -> None:  # noqa: ANN401
        if reason.value >= _FAILURE:
            self.failure = f"does not let {ADMIN} administer it ({reason})"

    def _received(self, _c: Any, _u: Any, message: mqtt.MQTTMessage) -> None:  # noqa: ANN401
        for answer in json.loads(message.payload).get("responses", []):
            if str(answer.get("correlationData", "")).startswith(f"{self.name}-"):
                self.answers[answer["correlationData"]] = answer


class Control:
    """One connection, for one thread, open within `with`.

    A connection for each piece of work costs some 20 ms and is never stale; its client id is its own, so
    that several processes administer the broker at once.

    Raises:
        BrokerError: From every method: no connection, no answer in time, or not allowed.
    """

    def __init__(self, settings: Settings, home: Home) -> None:
        self._timeout_s = settings.timeout_s
        self._port = settings.admin_port
        self._keepalive_s = max(1, math.ceil(settings.timeout_s))  # paho 2.1 bounds the handshake with it
        self._told = _Told(f"{ADMIN}-{os.getpid()}-{secrets.token_hex(4)}")
        self._asked = 0
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._told.name, protocol=mqtt.MQTTv5
        )
        self._client.tls_set_context(client_context(home, ADMIN))
        self._client.connect_timeout = self._timeout_s
        self._told.listen(self._client)

    def __enter__(self) -> Self:
        try:
            self._client.connect(_HOST, self._port, keepalive=self._keepalive_s)
            self._wait(lambda: self._told.is_connected, "did not accept the connection")
            _, message_id = self._client.subscribe(RESPONSE_TOPIC, qos=0)
            self._wait(lambda: message_id in self._told.granted, "did not answer")
        except OSError as error:
            self._client.disconnect()
            raise BrokerError(f"mosquitto at {_HOST}:{self._port} cannot be reached: {error}") from error
        except BrokerError:
            self._client.disconnect()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()

    def ask(self, commands: Sequence[Entry]) -> list[Entry]:
        """Have the plugin do these, in this order, and return its answer to each."""
        names = [f"{self._told.name}-{self._asked + index}" for index in range(len(commands))]
        self._asked += len(commands)
        asked = [{**command, "correlationData": name} for command, name in zip(commands, names, strict=True)]
        self._client.publish(CONTROL_TOPIC, json.dumps({"commands": asked}), qos=1)
        self._wait(lambda: all(name in self._told.answers for name in names), "did not answer")
        return [self._told.answers.pop(name) for name in names]

    def _wait(self, is_done: Callable[[], bool], otherwise: str) -> None:
        told, deadline_s = self._told, time.monotonic() + self._timeout_s
        while not is_done():
            left_s = deadline_s - time.monotonic()
            if told.failure or left_s <= 0:
                raise BrokerError(f"mosquitto at {_HOST}:{self._port} {told.failure or otherwise}")
            if self._client.loop(left_s) != mqtt.MQTT_ERR_SUCCESS and not told.failure:
                told.failure = "closed the connection"


def _without_delay(_client: mqtt.Client, _userdata: object, opened: Any) -> None:  # noqa: ANN401  # any socket
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
