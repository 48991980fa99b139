"""Somebody in the building: sees everything that happens there, with the building's own times, and acts."""

import asyncio
from collections import deque
from pathlib import Path
from typing import Any, TypeVar

from msgspec import MsgspecError, Struct

from gateway.errors import DemoError, DriverError
from gateway.sim import wire
from gateway.sim.hands import Poke
from gateway.sim.happening import Happening

_KEPT = 5000
_ANSWER_S = 5.0

_Kind = TypeVar("_Kind", bound=Happening)


class Witness:
    """One connection to the building's socket. Times are monotonic seconds of this machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._asked: deque[asyncio.Future[wire.Answer]] = deque()
        self._happened: deque[Happening] = deque(maxlen=_KEPT)
        self._more = asyncio.Condition()

    @classmethod
    async def connect(cls, path: Path) -> "Witness":
        """Go there. Raises DriverError while there is no building."""
        try:
            reader, writer = await asyncio.open_unix_connection(path, limit=1 << 20)
        except OSError as error:
            raise DriverError(f"{path}: no building listens there: {error.strerror}") from error
        writer.write(wire.encode(wire.Observe()) + b"\n")
        await reader.readline()  # hello
        return cls(reader, writer)

    async def run(self) -> None:
        """Watch until cancelled. Raises DriverError when the building is gone."""
        try:
            while line := await self._reader.readline():
                await self._take(wire.answers.decode(line))
        except (OSError, MsgspecError, ValueError) as error:
            raise DriverError(f"the building fell silent: {error}") from error
        finally:
            self._writer.close()
        raise DriverError("the building is gone; see its log")

    async def _take(self, message: wire.Answer) -> None:
        if isinstance(message, wire.Done | wire.Refused | wire.Seen | wire.Hello):
            answer = self._asked.popleft()
            if not answer.done():  # else whoever asked has given up
                answer.set_result(message)
            return
        async with self._more:
            self._happened.append(message)
            self._more.notify_all()

    async def poke(self, poke: Poke) -> None:
        """Do something there. Raises DriverError if it makes no sense there."""
        await self._ask(poke)

    async def look(self) -> dict[str, Any]:
        """Return all that can be seen there, as in look.py. Raises DriverError."""
        answer = await self._ask(wire.Look())
        if not isinstance(answer, wire.Seen):
            raise DriverError("the building answered something else")
        return answer.state

    async def _ask(self, request: Struct) -> wire.Answer:
        asked: asyncio.Future[wire.Answer] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self._writer.write(wire.encode(request) + b"\n")
        async with asyncio.timeout(_ANSWER_S):
            answer = await asked
        if isinstance(answer, wire.Refused):
            raise DriverError(answer.problem)
        return answer

    async def first(
        self, kind: type[_Kind], since_s: float, within_s: float = 10.0, **wanted: object
    ) -> _Kind:
        """Return the first happening of a kind with these values, as soon as there is one.

        Raises:
            DemoError: There was none in time.
        """

        def found() -> _Kind | None:
            matching = (
                seen
                for seen in self._happened
                if isinstance(seen, kind)
                and seen.at_s >= since_s
                and all(getattr(seen, key) == value for key, value in wanted.items())
            )
            return next(matching, None)

        try:
            async with asyncio.timeout(within_s), self._more:
                await self._more.wait_for(found)
        except TimeoutError:
            wish = " ".join(f"{key}={value}" for key, value in wanted.items())
            raise DemoError(f"nothing like {kind.__name__} {wish} within {within_s:g} s") from None
        seen = found()
        assert seen is not None  # noqa: S101  # wait_for has just seen it
        return seen

    def since(self, kind: type[_Kind], since_s: float) -> list[_Kind]:
        """Return all happenings of a kind from then on."""
        return [seen for seen in self._happened if isinstance(seen, kind) and seen.at_s >= since_s]
