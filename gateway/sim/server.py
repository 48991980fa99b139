"""The building as its own process: real time, a Unix socket, and no wake-up while nothing happens.

Its time is the machine's monotonic clock. It outlives gateways: what they drove stays as it was.
"""

import os
import socket
import stat
from asyncio import BaseTransport, Protocol, TimerHandle, Transport, get_running_loop, sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias, cast

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder

from gateway.errors import DriverError
from gateway.sim import radio, wire
from gateway.sim.building import Building
from gateway.sim.hands import Poke
from gateway.sim.happening import AdvertSent, ContactChanged, LoopChanged
from gateway.sim.lines import Lines
from gateway.sim.look import look
from gateway.sim.plan import Plan, rails

BACKLOG_BYTES = 1 << 20
"""A client that reads nothing while this much waits for it is dropped."""

SOCKET_MODE = 0o660

Request: TypeAlias = wire.Attach | wire.Observe | wire.SetOutput | wire.Look | Poke

_requests: Decoder[Request] = Decoder(Request)


@asynccontextmanager
async def serve(plan: Plan, path: Path, counter: int = 1) -> AsyncIterator["Server"]:
    """Have a building until the block ends.

    Args:
        plan: What building.
        path: Of the Unix socket to make.
        counter: Where the radio sensors' counters start; must grow from run to run, or they look replayed.

    Raises:
        DriverError: The socket cannot be made, or another building has it.
    """
    loop = get_running_loop()
    if any(beacon.key for beacon in plan.beacon.values()):
        radio.prepare()
    bound = _bind(path)
    try:
        server = Server(Building(plan, start_s=loop.time(), counter=counter))
        listener = await loop.create_unix_server(lambda: _Client(server), sock=bound)
        server.catch_up()
        try:
            yield server
        finally:
            listener.close()
            server.close()
            # The sockets close in the loop's next turn.
            await sleep(0)
    finally:
        _unbind(bound, path)


class Server:
    """Keeps the building at the present time and tells the clients what happens."""

    def __init__(self, building: Building) -> None:
        self.building = building
        self._clients: set[_Client] = set()
        self._timer: TimerHandle | None = None

    def catch_up(self) -> None:
        """Bring the building to now, spread the news, sleep until something is due."""
        loop = get_running_loop()
        self.building.run(loop.time())
        self._spread()
        if self._timer is not None:
            self._timer.cancel()
        next_s = self.building.next_s()
        self._timer = loop.call_at(next_s, self.catch_up) if next_s < float("inf") else None

    def answer(self, client: "_Client", request: Request) -> None:
        """Do what a client asks, now."""
        self.catch_up()
        try:
            for answer in self._do(client, request):
                client.send(answer)
        except DriverError as error:
            client.send(wire.Refused(problem=str(error)))
        self.catch_up()

    def join(self, client: "_Client") -> None:
        """Count a client in."""
        self._clients.add(client)

    def leave(self, client: "_Client") -> None:
        """Forget a client; what it drove stays."""
        self._clients.discard(client)

    def close(self) -> None:
        """Stop the building and hang up on everybody."""
        if self._timer is not None:
            self._timer.cancel()
        for client in tuple(self._clients):
            client.drop()

    def _do(self, client: "_Client", request: Request) -> list[Struct]:
        building = self.building
        match request:
            case wire.Attach() | wire.Observe():
                client.wants = _FOR_BOARDS if isinstance(request, wire.Attach) else (Struct,)
                lines = rails(building.plan)
                return [
                    wire.Hello(
                        rails=lines,
                        contacts=building.contacts,
                        outputs=building.outputs,
                        ratios=building.ratios,
                    )
                ]
            case wire.SetOutput(line=line, level=level):
                building.set_output(line, level)
                return []
            case wire.Look():
                return [wire.Seen(state=look(building))]
            case poke:
                poke.do(building)
                return [wire.Done()]

    def _spread(self) -> None:
        for happening in self.building.take():
            line = wire.encode(happening) + b"\n"
            for client in tuple(self._clients):
                if isinstance(happening, client.wants):
                    client.write(line)


_FOR_BOARDS: tuple[type[Struct], ...] = (ContactChanged, LoopChanged, AdvertSent)


class _Client(Protocol):
    """One connection, a gateway's or a person's."""

    def __init__(self, server: Server) -> None:
        self.wants: tuple[type[Struct], ...] = ()
        self._server = server
        self._lines = Lines()
        self._transport: Transport | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = cast("Transport", transport)
        self._server.join(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._server.leave(self)

    def data_received(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            try:
                request = _requests.decode(line)
            except (MsgspecError, UnicodeDecodeError) as error:
                self.send(wire.Refused(problem=f"not understood: {error}"))
            else:
                self._server.answer(self, request)
        if self._lines.waiting_bytes > wire.MOST_BYTES:
            self.send(wire.Refused(problem=f"a request has at most {wire.MOST_BYTES} bytes"))
            self.close()

    def send(self, message: Struct) -> None:
        self.write(wire.encode(message) + b"\n")

    def write(self, line: bytes) -> None:
        transport = cast("Transport", self._transport)
        transport.write(line)
        if transport.get_write_buffer_size() > BACKLOG_BYTES:
            transport.abort()

    def close(self) -> None:
        cast("Transport", self._transport).close()

    def drop(self) -> None:
        cast("Transport", self._transport).abort()


def _bind(path: Path) -> socket.socket:
    _clear(path)
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(str(path))
        path.chmod(SOCKET_MODE)
    except OSError as error:
        bound.close()
        raise DriverError(f"{path}: cannot make the socket: {error.strerror or error}") from error
    return bound


def _unbind(bound: socket.socket, path: Path) -> None:
    bound.close()
    path.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove the socket of a building that died. Raises DriverError if it is alive, or no socket."""
    try:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)  # noqa: PTH116  # Path.is_socket hides why it fails
    except FileNotFoundError:
        return
    except OSError as error:
        raise DriverError(f"{path}: {error.strerror}") from error
    if not is_socket:
        raise DriverError(f"{path}: exists and is no socket; choose another place")
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise DriverError(f"{path}: another building already listens there")
    path.unlink(missing_ok=True)
