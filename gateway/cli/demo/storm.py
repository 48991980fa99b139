"""Makes the gateway say a lot: radio sensors whose batteries go flat and are changed, in a freezing room."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.cli.demo.stage import Stage
from gateway.errors import DemoError
from gateway.sim.hands import Battery, Chill, Speak

_SENSORS = ("plant-room-pump", "plant-room-sump", "kitchen-sink")
_ROOM = "plant-room"
_BAD, _GOOD = (5.0, -5.0), (90.0, 18.0)
"""Battery percent and degrees Celsius; each way of each is an event of its own."""

_PAUSE_S = 0.01
_ROUNDS_BETWEEN_LOOKS = 5
_MOST_LOOKS = 200


class Storm:
    """Each round makes some ten messages, each of them by a frame on the (simulated) air.

    Args:
        pause_s: After each half of a round.
        freezes: The room freezes and thaws, too; a freeze is more urgent than a battery.
    """

    def __init__(self, stage: Stage, pause_s: float = _PAUSE_S, *, freezes: bool = True) -> None:
        self._stage = stage
        self._pause_s = pause_s
        self._freezes = freezes

    async def until_queued(self, count: int) -> dict[str, Any]:
        """Blow until so many messages wait for the cloud; return the view that says so. Raises DemoError."""
        for _ in range(_MOST_LOOKS):
            for _ in range(_ROUNDS_BETWEEN_LOOKS):
                await self._round()
            view = await self._stage.gateway.view()
            if queued(view) >= count:
                return view
        raise DemoError(f"only {queued(view)} of {count} messages wait")

    async def through(self, for_s: float, action: Callable[[], Awaitable[None]]) -> None:
        """Blow for a while, do this in the middle of it, and be still."""
        async with asyncio.TaskGroup() as group:
            blowing = group.create_task(self._blow())
            await asyncio.sleep(for_s)
            await action()
            blowing.cancel()

    async def _blow(self) -> None:
        while True:
            await self._round()

    async def _round(self) -> None:
        building = self._stage.building
        for percent, degc in (_BAD, _GOOD):
            if self._freezes:
                await building.poke(Chill(room=_ROOM, degc=degc))
            for sensor in _SENSORS:
                await building.poke(Battery(sensor=sensor, percent=percent))
                await building.poke(Speak(sensor=sensor))
            await asyncio.sleep(self._pause_s)


def queued(view: dict[str, Any]) -> int:
    """Return how many messages wait for the cloud."""
    return sum(view["store"]["queued"].values())
