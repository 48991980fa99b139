"""The building's socket for people: the command line and the demo. Blocking; standard sockets."""

import socket
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from msgspec import MsgspecError, Struct

from gateway.domain.model import Json
from gateway.errors import DriverError
from gateway.sim import wire
from gateway.sim.hands import Poke
from gateway.sim.happening import Happening
from gateway.sim.lines import Lines

TIMEOUT_S = 5.0
READ_BYTES = 65536


class Visitor:
    """Somebody in the building. Every method raises DriverError when the building refuses or is gone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = Lines()
        self._received: list[bytes] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise DriverError(
                f"{path}: no simulated building listens there ({error.strerror or error}); "
                "start one with `reed-gateway building`"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def poke(self, poke: Poke) -> None:
        """Do something."""
        self._ask(poke)

    def look(self) -> dict[str, Json]:
        """Return the state of the building."""
        answer = self._ask(wire.Look())
        if not isinstance(answer, wire.Seen):
            raise DriverError(f"{self._path}: the building answered something else")
        return answer.state

    def observe(self) -> Iterator[Happening]:
        """Yield what happens from now on, for ever; use nothing else of this visitor afterwards."""
        self._ask(wire.Observe())
        self._socket.settimeout(None)
        while True:
            message = self._receive()
            if not isinstance(message, wire.Hello | wire.Done | wire.Refused | wire.Seen):
                yield message

    def _ask(self, request: Struct) -> wire.Answer:
        try:
            self._socket.sendall(wire.encode(request) + b"\n")
        except OSError as error:
            raise DriverError(f"{self._path}: the building is gone: {error.strerror or error}") from error
        answer = self._receive()
        if isinstance(answer, wire.Refused):
            raise DriverError(answer.problem)
        return answer

    def _receive(self) -> wire.Answer:
        while not self._received:
            try:
                data = self._socket.recv(READ_BYTES)
            except OSError as error:
                raise DriverError(f"{self._path}: the building does not answer: {error}") from error
            if not data:
                raise DriverError(f"{self._path}: the building is gone")
            self._received += self._lines.feed(data)
        try:
            return wire.answers.decode(self._received.pop(0))
        except MsgspecError as error:
            raise DriverError(f"{self._path}: the building says something unknown: {error}") from error
