"""The network between gateway and broker: a TCP relay that can be cut. It sees TLS, no messages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_CHUNK_BYTES = 65536


class Relay:
    """Forwards connections to host:port while `connected`.

    Attributes:
        port: Where it listens, on loopback.
        connected: Whether anything gets through.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self.connected = True
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break all connections, and each new one, until `restore`."""
        self.connected = False
        for writer in tuple(self._writers):
            writer.transport.abort()

    def restore(self) -> None:
        """End `cut`."""
        self.connected = True

    async def forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side or `cut` ends it."""
        self._writers.add(writer)
        try:
            if not self.connected:
                return
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            self._writers.add(far_writer)
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_pump(reader, far_writer, self.lets_through))
                    tasks.create_task(_pump(far_reader, writer, _everything))
            finally:
                self._drop(far_writer)
        except OSError:
            pass  # the broker is away: the gateway sees that its connection ends
        finally:
            self._drop(writer)

    def lets_through(self, data: bytes) -> bool:
        """Return whether a connection survives this from the client; a test's network may be worse."""
        del data
        return True

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.transport.abort()


def _everything(data: bytes) -> bool:
    del data
    return True


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lets_through: Callable[[bytes], bool]
) -> None:
    with contextlib.suppress(OSError):
        while (data := await reader.read(_CHUNK_BYTES)) and lets_through(data):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()  # which also ends the pump of the other direction


@asynccontextmanager
async def running_relay(host: str, port: int) -> AsyncIterator[Relay]:
    """Relay from a free port on loopback to host:port until the block ends."""
    relay = Relay(host, port)
    async with listening(relay):
        yield relay


@asynccontextmanager
async def listening(relay: Relay) -> AsyncIterator[None]:
    """Serve a relay on a free port on loopback until the block ends."""
    server = await asyncio.start_server(relay.forward, "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        relay.cut()
        await server.wait_closed()
