"""An MQTT 5 client that a test holds in its hand: what it may do, what it hears, when it was connected."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from paho.mqtt import client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.fakes.authority import Authority

_PATIENCE_S = 10.0
"""RabbitMQ holds a refusal back for three seconds."""


def until(is_so: Callable[[], bool], timeout_s: float = _PATIENCE_S) -> bool:
    """Wait for something to become true, and tell whether it did."""
    deadline_s = time.monotonic() + timeout_s
    while not is_so():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.01)
    return True


def _properties(kind: int, **values: int) -> Properties | None:
    given = {name: value for name, value in values.items() if value}
    if not given:
        return None
    properties = Properties(kind)  # type: ignore[no-untyped-call]
    for name, value in given.items():
        setattr(properties, name, value)
    return properties


class Peer:
    """One client; connects with `with`, or by `connect`.

    Args:
        authority: Whose certificates it has.
        name: The common name of its certificate.
        port: Where the broker listens.
        client_id: Its name by default.
        session_s: It comes back to the same session within this time; 0: each connection begins anew.
        will: Topic and payload of its will.
        comes_back: It reconnects by itself, five times a second.
    """

    def __init__(
        self,
        authority: Authority,
        name: str,
        port: int,
        *,
        client_id: str | None = None,
        session_s: int = 0,
        will: tuple[str, bytes] | None = None,
        comes_back: bool = False,
    ) -> None:
        self.name = name
        self.heard: list[tuple[str, bytes]] = []
        self.connected_at_s: list[float] = []
        self.lost_at_s: list[float] = []
        self.refusals: list[str] = []
        self._port = port
        self._session_s = session_s
        self._answers: dict[int, Any] = {}
        self._told = threading.Condition()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or name,
            protocol=mqtt.MQTTv5,
            reconnect_on_failure=comes_back,
        )
        self._client.tls_set_context(self._context(authority.home.roots_file, *authority.files(name)))
        self._client.reconnect_delay_set(0.2, 0.2)  # type: ignore[arg-type]  # seconds, also a part of one
        if will is not None:
            self._client.will_set(*will, qos=1)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = lambda _c, _u, mid, reasons, _p: self._answered(mid, reasons[0])
        self._client.on_publish = lambda _c, _u, mid, reason, _p: self._answered(mid, reason)
        self._client.on_message = lambda _c, _u, message: self._hear(message)

    @staticmethod
    def _context(roots_file: Path, cert_file: Path, key_file: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(roots_file))
        context.load_cert_chain(cert_file, key_file)
        return context

    def __enter__(self) -> Self:
        assert self.connect(), f"{self.name} was refused: {self.refusals}"
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def connect(self) -> bool:
        """Connect once and tell whether the broker accepted; else `refusals` says why."""
        before = len(self.connected_at_s), len(self.refusals)
        properties = _properties(PacketTypes.CONNECT, SessionExpiryInterval=self._session_s)
        self._client.loop_stop()
        try:
            self._client.connect(
                "localhost", self._port, 60, clean_start=not self._session_s, properties=properties
            )
        except OSError as error:
            self.refusals.append(str(error))
            return False
        self._client.loop_start()
        until(lambda: (len(self.connected_at_s), len(self.refusals)) != before)
        return len(self.connected_at_s) > before[0]

    def leave(self) -> None:
        """Say goodbye."""
        self._client.disconnect()
        self._end()

    def _end(self) -> None:
        """Stop, and let go of each other: paho closes some sockets only when nobody holds its client."""
        self._client.loop_stop()
        for name in ("connect", "disconnect", "subscribe", "publish", "message"):
            setattr(self._client, f"on_{name}", None)

    def vanish(self) -> None:
        """Go without a word, so that the broker publishes the will."""
        transport = self._client.socket()
        assert isinstance(transport, ssl.SSLSocket)
        transport.shutdown(socket.SHUT_RDWR)
        until(lambda: not self.is_connected)
        self._end()

    @property
    def is_connected(self) -> bool:
        """The broker has accepted it and it is still there."""
        return len(self.connected_at_s) > len(self.lost_at_s)

    def subscribe(self, topic_filter: str) -> bool:
        """Tell whether the broker grants it."""
        return self._is_granted(lambda: self._client.subscribe(topic_filter, qos=1)[1])

    def publish(
        self, topic: str, payload: bytes = b"{}", *, retain: bool = False, expires_s: int = 0
    ) -> bool:
        """Publish with QoS 1 and tell whether the broker takes it; RabbitMQ hangs up instead of saying no."""
        properties = _properties(PacketTypes.PUBLISH, MessageExpiryInterval=expires_s)
        return self._is_granted(lambda: self._client.publish(topic, payload, 1, retain, properties).mid)

    def say(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1 and do not wait."""
        self._client.publish(topic, payload, 1)

    def heard_payloads(self) -> list[bytes]:
        """Return what it has received."""
        return [payload for _, payload in self.heard]

    def _is_granted(self, ask: Callable[[], int | None]) -> bool:
        lost = len(self.lost_at_s)
        message_id = ask()
        with self._told:
            self._told.wait_for(
                lambda: message_id in self._answers or len(self.lost_at_s) > lost, _PATIENCE_S
            )
        answer = self._answers.pop(message_id, None)  # type: ignore[arg-type]
        return answer is not None and not answer.is_failure

    def _answered(self, message_id: int, reason: Any) -> None:  # noqa: ANN401  # paho's
        with self._told:
            self._answers[message_id] = reason
            self._told.notify_all()

    def _hear(self, message: mqtt.MQTTMessage) -> None:
        self.heard.append((message.topic, bytes(message.payload)))

    def _on_connect(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:  # noqa: ANN401
        if reason.is_failure:
            self.refusals.append(str(reason))
        else:
            self.connected_at_s.append(time.monotonic())

    def _on_disconnect(self, _c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:  # noqa: ANN401
        with self._told:
            if len(self.lost_at_s) < len(self.connected_at_s):
                self.lost_at_s.append(time.monotonic())
            else:
                self.refusals.append(str(reason))
            self._told.notify_all()
