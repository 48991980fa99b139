"""A whole gateway without disk and link, wired to a building in virtual time: a day passes in a second.

Core, hardware layer and sensor drivers are the real ones.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from math import inf
from typing import Any

from gateway.app.hardware import Hardware
from gateway.config.model import Config
from gateway.domain.commands import Command, Indicate, Publish, Remember, SetCoil
from gateway.domain.core import Core
from gateway.domain.events import DeadlinePassed, Event, TimeTold
from gateway.domain.model import Json
from gateway.drivers import ccm
from gateway.sim.building import Building
from gateway.sim.direct import DirectBoard

MOST_DEADLINES_AT_ONCE = 1000

MINUTE_S = 60.0


class VirtualGateway:
    """`commands` holds everything that the core ever commanded, with the time.

    `midnight_unix_s` is the wall clock at the building's time 0: a Monday, 00:00, where it stands.
    """

    midnight_unix_s = 1_796_601_600.0

    def __init__(self, config: Config, building: Building) -> None:
        self._tells_time = bool(config.site.meters)
        self._told_s = -inf
        self.board = DirectBoard(building)
        self.core = Core(config.site)
        self.commands: list[tuple[float, Command]] = []
        self.memory: dict[str, Json] = {}
        self.hardware = Hardware(config, self.board, self.emit, self._start)

    def emit(self, event: Event) -> None:
        """Hand an event to the core and do what it commands."""
        self._execute(self.core.handle(event, self.board.now_s))

    def advance(self, until_s: float) -> None:
        """Let building and gateway go on to this time."""
        stuck = 0
        while True:
            self._tell_time()
            deadline_s = self.core.next_deadline_s()
            most_s = min(until_s, self._told_s + MINUTE_S) if self._tells_time else until_s
            reached = self.board.step(min(most_s, inf if deadline_s is None else deadline_s))
            if deadline_s is not None and deadline_s <= self.board.now_s:
                self.emit(DeadlinePassed())
                stuck += 1
                assert stuck < MOST_DEADLINES_AT_ONCE, f"deadline {deadline_s} never ends"
            elif reached and self.board.now_s >= until_s:
                return
            else:
                stuck = 0

    def _tell_time(self) -> None:
        """Tell the time after each full minute, as app/tell_time.py does."""
        if self._tells_time and self.board.now_s - self._told_s >= MINUTE_S:
            self._told_s = self.board.now_s // MINUTE_S * MINUTE_S
            unix_s = self.midnight_unix_s + self.board.now_s
            minute_of_week = int(self.board.now_s // MINUTE_S) % (7 * 1440)
            self.emit(TimeTold(unix_s, minute_of_week, trusted=True))

    def view(self) -> Mapping[str, Any]:
        """The site as people see it."""
        return self.core.view(self.board.now_s)

    def published(self, kind: str) -> list[Mapping[str, Json]]:
        """The bodies of all messages of this kind."""
        return [
            command.body
            for _, command in self.commands
            if isinstance(command, Publish) and command.kind == kind
        ]

    def coils(self) -> list[tuple[float, SetCoil]]:
        """All commands that drove a coil, with the time."""
        return [(at_s, command) for at_s, command in self.commands if isinstance(command, SetCoil)]

    def _start(self, found: Any) -> None:  # noqa: ANN401  # the port's own type
        self._execute(self.core.start(self.memory, found, self.board.now_s))

    def _execute(self, commands: list[Command]) -> None:
        for command in commands:
            self.commands.append((self.board.now_s, command))
            if isinstance(command, SetCoil):
                self.hardware.drive(command)
            elif isinstance(command, Indicate):
                self.hardware.show(command)
            elif isinstance(command, Remember):
                self.memory[command.key] = command.value


@asynccontextmanager
async def virtual_gateway(config: Config, building: Building) -> AsyncIterator[VirtualGateway]:
    """Have a running gateway until the block ends."""
    await ccm.prepare()
    gateway = VirtualGateway(config, building)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(gateway.hardware.run())
        # Everything attaches within the first turns of the loop; nothing here waits for the outside.
        for _ in range(20):
            await asyncio.sleep(0)
        yield gateway
        running.cancel()
