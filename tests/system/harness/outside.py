"""Everything beyond a booted machine's network socket: a real broker, a cloud that keeps all, and the cable.

They live on this host and survive the machine's power cuts. The cable ends at a port of the machine's own
loopback, so nothing needs an address; unplugged, the machine has no network at all.
"""

import asyncio
import ctypes
import os
import shutil
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from gateway.cli.demo import devca
from gateway.cli.demo.broker import Broker
from gateway.cli.demo.cloud import Cloud, Message
from gateway.cli.demo.relay import Relay
from tests.system.harness.boot import Booted

GATEWAY_ID = "house-7"
HOST = "broker.reed.test"
PORT = 8883
PKI = "/etc/reed/pki"
LINK = f"""
[link]
host = "{HOST}"
port = {PORT}
ca_file = "{PKI}/ca.pem"
cert_file = "{PKI}/{GATEWAY_ID}.pem"
key_file = "{PKI}/{GATEWAY_ID}.key.pem"
command_key_file = "{PKI}/command.pub.pem"
backoff_cap_s = 1.0
replay_per_s = 0
"""
_CLONE_NEWNET = 0x40000000
_WAIT_S = 60.0

T = TypeVar("T")


class Outside:
    """Runs within `with`, in a thread of its own.

    Args:
        folder: An empty folder for certificates and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.ca = devca.ensure(folder / "ca", GATEWAY_ID, (HOST, "localhost"))
        self.broker = Broker(self.ca, folder / "broker")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="outside", daemon=True)
        self._cable: tuple[asyncio.Server, Relay] | None = None

    def __enter__(self) -> Self:
        self.broker.start()
        self._thread.start()
        self.cloud = self._wait(self._make())
        self._cloud = asyncio.run_coroutine_threadsafe(self.cloud.run(), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()
        self._cloud.cancel()
        self._wait(_nothing())  # one more turn, in which the cloud says goodbye
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.broker.stop()

    async def _make(self) -> Cloud:
        return Cloud(self.ca.cloud, "localhost", self.broker.port)

    # --- the cable ----------------------------------------------------------------------------------

    def introduce(self, machine: Booted) -> None:
        """Lay the gateway's certificate and the cloud's keys into an installed machine."""
        files = (self.ca.ca_file, self.ca.command_key_file)
        for file in (*files, self.ca.cert_file(GATEWAY_ID), self.ca.key_file(GATEWAY_ID)):
            machine.path(PKI).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, machine.path(PKI))
        machine.run("chown", "-R", "root:reed", PKI)
        machine.run("chmod", "-R", "u=rwX,g=rX,o=", PKI)

    def plug(self, machine: Booted) -> None:
        """Give the machine a network: the broker's name and a way to it."""
        self.unplug()
        hosts = machine.path("/etc/hosts")
        if HOST not in hosts.read_text():  # a root that is read-only has it from before
            hosts.write_text(f"{hosts.read_text()}127.0.0.1 {HOST}\n")
        self._cable = self._wait(self._lay(_socket_in(machine)))

    def unplug(self) -> None:
        """Take the network away; open connections break."""
        if self._cable is not None:
            server, relay = self._cable
            self._loop.call_soon_threadsafe(relay.cut)
            self._loop.call_soon_threadsafe(server.close)
            self._wait(_nothing())
            self._cable = None

    async def _lay(self, listener: socket.socket) -> tuple[asyncio.Server, Relay]:
        relay = Relay("127.0.0.1", self.broker.port)
        return await asyncio.start_server(relay.forward, sock=listener), relay

    # --- what the cloud knows -----------------------------------------------------------------------

    def held(self, kind: str = "") -> list[Message]:
        """Return the messages that the cloud holds, each once: all, or those of a kind."""
        everything = self.look(lambda cloud: [*cloud.held.values()])
        return [message for message in everything if not kind or message["kind"] == kind]

    def look(self, question: Callable[[Cloud], T]) -> T:
        """Ask the cloud something, in its own thread."""

        async def ask() -> T:
            return question(self.cloud)

        return self._wait(ask())

    def until(self, holds: Callable[[Cloud], object], wish: str, within_s: float = _WAIT_S) -> None:
        """Wait until the cloud knows something. Raises AssertionError if it does not come to know it."""
        try:
            self._wait(self.cloud.until(holds, within_s))
        except TimeoutError:
            raise AssertionError(f"the cloud waited {within_s:g} s for {wish}") from None

    def has_all(self, store: Mapping[str, Any]) -> bool:
        """Tell whether everything is accounted for that a daemon has said so far.

        Args:
            store: The daemon's view of it.
        """
        through = self.look(lambda cloud: cloud.seen[GATEWAY_ID, store["epoch"]].through)
        return through >= int(store["seq"]) and not any(store["queued"].values())

    def holes(self, first_epoch: int = 0) -> list[str]:
        """Return what of the numbered messages the cloud neither holds nor has been told to be gone.

        A former epoch is whole up to the number that the next start found on its disk; what was numbered
        after that can only be telemetry or state of its last moments.

        Args:
            first_epoch: Earlier ones do not count: their disk was thrown away.
        """
        ends = {m["body"]["epoch"]: m["body"]["through"] for m in self.held("restarted")}
        known = self.look(lambda cloud: {epoch: seen.through for (_, epoch), seen in cloud.seen.items()})
        known = {epoch: through for epoch, through in known.items() if epoch >= first_epoch}
        newest = max(known, default=0)
        found = [
            f"nobody told of the end of epoch {epoch}" for epoch in known if epoch not in {*ends, newest}
        ]
        found += [
            f"epoch {epoch}: accounted for up to {known.get(epoch, 0)} of {through}"
            for epoch, through in ends.items()
            if epoch >= first_epoch and known.get(epoch, 0) < through
        ]
        return found

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_WAIT_S + 5)


async def _nothing() -> None:
    await asyncio.sleep(0.05)


def _socket_in(machine: Booted) -> socket.socket:
    """Return a listening socket at the broker's port of the machine's loopback. Raises OSError."""
    made: list[socket.socket | OSError] = []

    def make() -> None:  # a thread of its own: only it enters the machine's network
        try:
            with machine.path("/proc/1/ns/net").open("rb") as network:
                failed = ctypes.CDLL(None, use_errno=True).setns(network.fileno(), _CLONE_NEWNET)
            number = ctypes.get_errno()
            made.append(
                OSError(number, os.strerror(number)) if failed else socket.create_server(("127.0.0.1", PORT))
            )
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    with suppress(OSError):
        made[0].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made[0]
