"""A broker that lets nobody in, in one of the many ways there are: a small part of MQTT 5 over TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from tests.fakes.broker import DevCa


@dataclass(frozen=True)
class Mood:
    """What it answers; 0 is a yes.

    Args:
        connack: To CONNECT; None hangs up.
        suback: To SUBSCRIBE; None hangs up.
        puback: To PUBLISH; None hangs up.
        mute: Takes what is published and never says so.
        farewell: Says DISCONNECT with this code after the first PUBLISH.
    """

    connack: int | None = 0
    suback: int | None = 0
    puback: int | None = 0
    farewell: int = 0
    mute: bool = False


class Moody:
    """Serves while entered.

    Attributes:
        mood: Of the next answer.
        port: On loopback.
        visits: How many have said CONNECT.
        here: How many are connected.
    """

    def __init__(self, mood: Mood) -> None:
        self.mood = mood
        self.port = 0
        self.visits = self.here = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.here += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while (answer := self._answer(*await _packet(reader))) is not None:
                writer.write(answer)
                await writer.drain()
                if answer[:1] == b"\xe0":
                    break
        self.here -= 1
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    def _answer(self, kind: int, body: bytes) -> bytes | None:
        mood = self.mood
        match kind:
            case 1:
                self.visits += 1
                return None if mood.connack is None else bytes([0x20, 3, 0, mood.connack, 0])
            case 8:
                return None if mood.suback is None else bytes([0x90, 4, *body[:2], 0, mood.suback or 1])
            case 3 if mood.farewell:
                return bytes([0xE0, 2, mood.farewell, 0])
            case 3 if mood.mute:
                return b""
            case 3:
                length = int.from_bytes(body[:2])
                number = body[2 + length : 4 + length]
                return None if mood.puback is None else bytes([0x40, 4, *number, mood.puback, 0])
            case 12:
                return bytes([0xD0, 0])
            case _:
                return b""


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    (first,) = await reader.readexactly(1)
    length = shift = 0
    while True:
        (byte,) = await reader.readexactly(1)
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return first >> 4, await reader.readexactly(length)


@asynccontextmanager
async def moody_broker(ca: DevCa, mood: Mood) -> AsyncIterator[Moody]:
    """Run one with the certificate of the authority's broker."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca.ca_file))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(ca.cert_file("broker"), ca.key_file("broker"))
    made = Moody(mood)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
