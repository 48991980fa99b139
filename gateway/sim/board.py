"""The board of a daemon in the simulated building: lines and radio over the building's socket, in real time.

The building keeps the level of an output when the gateway dies, as a Raspberry Pi's kernel does.
"""

import json
from asyncio import BaseTransport, Future, Protocol, Transport, get_running_loop, timeout
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import cast

from gateway.domain.model import Json
from gateway.domain.ports import Advert, AnalogSpec, Failure, InputSpec, OutputLine
from gateway.errors import DriverError
from gateway.sim import news
from gateway.sim.config import Config
from gateway.sim.lines import Lines
from gateway.sim.panel import Panel, input_name

HELLO_S = 5.0
"""A building that accepts but says nothing for this long is none."""


class SimBoard:
    """Implements `gateway.domain.ports.Board` with `reed-gateway building` at the other end.

    When the building goes away, `run` raises DriverError and so do the outputs; the next `run` (or `open`)
    connects again, reads all levels again and tells the watchers of each line that changed meanwhile.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._panel = Panel()
        self._outputs: dict[str, bool] = {}
        self._ratios: dict[str, float] = {}
        self._connection: _Connection | None = None

    async def open(self) -> None:
        """Connect and learn all levels. Raises DriverError."""
        self.close()
        path = self._config.socket
        self._connection = connection = _Connection(self._on_news)
        try:
            async with timeout(HELLO_S):
                await get_running_loop().create_unix_connection(lambda: connection, str(path))
                connection.send({"do": "attach"})
                await connection.greeted
        except TimeoutError as error:
            raise DriverError(f"{path}: something listens there, but it is no simulated building") from error
        except OSError as error:
            raise DriverError(
                f"{path}: no simulated building listens there ({error.strerror or error}); "
                "start one with `reed-gateway building`"
            ) from error
        finally:
            if not connection.works:
                self.close()

    async def run(self) -> None:
        """Serve until cancelled. Raises DriverError when the building goes away."""
        if self._connection is None:
            await self.open()
        connection = cast("_Connection", self._connection)
        try:
            await connection.lost
        finally:
            self.close()

    def close(self) -> None:
        """Hang up; the outputs keep their levels."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def watch(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """Enter with the present level; then call `on_level` for each change."""
        return self._panel.watch(spec, on_level)

    def listen(self, address: str, on_advert: Callable[[Advert], None], /) -> AbstractContextManager[None]:
        """Call `on_advert` for every advertisement of this address."""
        return self._panel.listen(address, on_advert)

    def output(self, line: str, /) -> OutputLine:
        """Take a line for output at the level it has now. Raises DriverError."""
        output = _SimOutput(self, line)
        output.level()
        return output

    def button(self, spec: InputSpec, on_level: Callable[[bool], None], /) -> AbstractContextManager[bool]:
        """As `watch`."""
        return self.watch(spec, on_level)

    def lamp(self, line: str, /) -> OutputLine:
        """As `output`. Raises DriverError."""
        return self.output(line)

    @contextmanager
    def sample(self, spec: AnalogSpec, on_sample: Callable[[float | Failure], None], /) -> Iterator[None]:
        """Call `on_sample` with each sample. Raises DriverError if there is no such input."""
        self._connected()
        source = input_name(spec.adc, spec.channel)
        if source not in self._ratios:
            known = ", ".join(self._ratios) or "none"
            raise DriverError(f"{source} is no analogue input of this building; it has {known}")
        loop = get_running_loop()
        is_wanted = True

        def take() -> None:
            if is_wanted:
                loop.call_later(spec.every_s, take)
                on_sample(self._ratios[source] if self._is_connected else Failure(self._gone))

        loop.call_soon(take)
        try:
            yield
        finally:
            is_wanted = False

    def level(self, line: str) -> bool:
        """Return the level of an output. Raises DriverError."""
        self._connected()
        return _find(line, self._outputs)

    def drive(self, line: str, level: bool) -> None:
        """Drive an output; it is written to the socket on return. Raises DriverError."""
        self._connected().send({"do": "set", "line": line, "level": level})
        self._outputs[line] = level

    def _connected(self) -> "_Connection":
        if self._connection is None or not self._connection.works:
            raise DriverError(self._gone)
        return self._connection

    @property
    def _is_connected(self) -> bool:
        return self._connection is not None and self._connection.works

    @property
    def _gone(self) -> str:
        return f"{self._config.socket}: the simulated building is gone"

    def _on_news(self, told: news.Told) -> None:
        match told:
            case news.Contact(line, closed):
                self._panel.change(line, closed)
            case Advert():
                self._panel.hear(told)
            case news.Ratio(source, ratio):
                self._ratios[source] = ratio
            case news.Levels(rails, contacts, outputs, ratios):
                self._outputs, self._ratios = outputs, {**self._ratios, **ratios}
                self._panel.learn(rails, contacts)
            case None:
                pass


class _SimOutput:
    """One output line of a SimBoard."""

    def __init__(self, board: SimBoard, line: str) -> None:
        self._board = board
        self._line = line

    def level(self) -> bool:
        return self._board.level(self._line)

    def set(self, level: bool, /) -> None:
        self._board.drive(self._line, level)


class _Connection(Protocol):
    """The socket: calls back for each message, in the callback that received it."""

    def __init__(self, on_news: Callable[[news.Told], None]) -> None:
        loop = get_running_loop()
        self.greeted: Future[None] = loop.create_future()
        self.lost: Future[None] = loop.create_future()
        self._on_news = on_news
        self._lines = Lines()
        self._transport: Transport | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = cast("Transport", transport)

    def data_received(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            try:
                told = news.read(line)
            except DriverError as error:
                self._end(error)
                return
            self._on_news(told)
            if not self.greeted.done():
                self.greeted.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(DriverError(f"the simulated building has gone: {error or 'it closed its socket'}"))

    @property
    def works(self) -> bool:
        """The building has greeted us and has not gone."""
        greeted = self.greeted.done() and not self.greeted.cancelled() and not self.greeted.exception()
        return greeted and not self.lost.done()

    def send(self, message: Mapping[str, Json]) -> None:
        if self._transport is not None:
            self._transport.write(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _end(self, error: DriverError) -> None:
        self.close()
        for future in (self.greeted, self.lost):
            if not future.done():
                future.set_exception(error)
                # Whoever waits gets it; if nobody does, it is no news.
                future.exception()


def _find(line: str, outputs: dict[str, bool]) -> bool:
    if line not in outputs:
        raise DriverError(
            f'line "{line}" is no output of this building; it has {", ".join(outputs) or "none"}'
        )
    return outputs[line]
