"""The demo's relay as a broker that dies of one message: it recognises the message by its length."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.cli.demo.relay import Relay, listening


class Proxy(Relay):
    """Forwards connections while `connected`.

    Args:
        chokes_at_bytes: Ends a connection when a TLS record this long comes from the client.

    Attributes:
        cuts: How often a connection was broken on purpose.
    """

    def __init__(self, host: str, port: int, chokes_at_bytes: int | None = None) -> None:
        super().__init__(host, port)
        self.cuts = 0
        self._chokes_at_bytes = chokes_at_bytes

    def cut(self) -> None:
        super().cut()
        self.cuts += 1

    def lets_through(self, data: bytes) -> bool:
        chokes = self._chokes_at_bytes is not None and len(data) >= self._chokes_at_bytes
        self.cuts += chokes
        return not chokes


@asynccontextmanager
async def running_proxy(host: str, port: int, chokes_at_bytes: int | None = None) -> AsyncIterator[Proxy]:
    """Run a proxy to host:port on a free loopback port."""
    proxy = Proxy(host, port, chokes_at_bytes)
    async with listening(proxy):
        yield proxy
