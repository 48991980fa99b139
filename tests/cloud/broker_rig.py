"""What the conformance suite asks of a broker under test, and what its tests do with one.

Rights, Denial, Crls and Administration run over mosquitto 2.0.11, mosquitto 2.0.21 and RabbitMQ 4.0.5.
The gateways of a test carry ids of the test's own, so that tests do not meet.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, Self

from cloud.brokers.interface import BrokerAdmin
from tests.fakes.authority import Authority
from tests.fakes.mqtt_peer import Peer, until


class Rig(Protocol):
    """A real broker, its authority, and its administration as the cloud has it."""

    name: str
    authority: Authority
    port: int
    ingest_port: int
    obeys_crl: bool
    """False: a denied gateway's TLS handshake succeeds, and nothing after it."""
    timeout_s: float

    @property
    def admin(self) -> BrokerAdmin:
        """Its administration."""

    def restart(self) -> None:
        """Stop it as an operator does, and start it again; returns when it serves."""

    def stopped(self) -> AbstractContextManager[None]:
        """Be without it for a while."""

    def frozen(self) -> AbstractContextManager[None]:
        """Let it hold its connections and answer nothing for a while."""


def deny(rig: Rig, gateway_id: str) -> None:
    """Do what the registry does: rights and connection, then the CRL, then who came back without rights."""
    rig.admin.deny(gateway_id)
    rig.admin.install_crl(rig.authority.hold(gateway_id))
    rig.admin.deny(gateway_id)


def allow(rig: Rig, gateway_id: str) -> None:
    """Do what the registry does to take a denial back."""
    rig.admin.install_crl(rig.authority.release(gateway_id))
    rig.admin.grant(gateway_id)


Tell = Callable[[str], None]
"""Prints a measured figure past pytest's capture."""

GONE_S = 5.0
"""What is promised: a denied gateway is out within this time."""


def ingest(rig: Rig) -> Peer:
    return Peer(rig.authority, "ingest", rig.ingest_port)


def gateway(rig: Rig, name: str, **how: object) -> Peer:
    return Peer(rig.authority, name, rig.port, **how)  # type: ignore[arg-type]


def up(name: str, channel: str = "tele") -> str:
    return f"reed/v1/{name}/up/{channel}"


def cmd(name: str, kind: str = "ping") -> str:
    return f"reed/v1/{name}/cmd/{kind}"


class Talker:
    """A gateway that publishes twenty times a second and listens for commands; it reconnects by itself."""

    def __init__(self, rig: Rig, name: str) -> None:
        self.peer = gateway(rig, name, comes_back=True)
        self.name = name
        self.said = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._talk)

    def __enter__(self) -> Self:
        self.peer.__enter__()
        assert self.peer.subscribe(cmd(self.name, "#"))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        self.peer.leave()

    def _talk(self) -> None:
        while not self._is_over.wait(0.05):
            self.said += 1
            self.peer.say(up(self.name), b"%d" % self.said)


def talk_reaches(hearer: Peer, name: str) -> bool:
    """Tell whether something new of this gateway comes to the ingest now."""
    before = len(said_by(hearer, name))
    return until(lambda: len(said_by(hearer, name)) > before, 5.0)


def said_by(hearer: Peer, name: str) -> list[bytes]:
    return [payload for topic, payload in list(hearer.heard) if topic == up(name)]
