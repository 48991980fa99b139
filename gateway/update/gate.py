"""The health gate: after an update, watch the gateway until all is as before, for a bounded time."""

import asyncio
from collections.abc import Mapping

from gateway.domain.model import Json
from gateway.domain.update.health import baseline, judge
from gateway.domain.update.model import Judged
from gateway.errors import ControlError
from gateway.update.ports import Clock, Guard, Signer

IN_A_ROW = 3
"""A gateway that crashes every few seconds looks well in between."""
EVERY_S = 5.0
_VIEW_S = 10.0
_SIGN_S = 60.0
MOST_MISSED = 5


class Gate:
    """Judges the running gateway.

    Args:
        guard: The gateway.
        signer: Its key.
        clock: For the bound.
        every_s: Between two looks.
    """

    def __init__(self, guard: Guard, signer: Signer, clock: Clock, *, every_s: float = EVERY_S) -> None:
        self._guard = guard
        self._signer = signer
        self._clock = clock
        self._every_s = every_s
        self._epoch: Json = None

    async def before(self) -> dict[str, Json]:
        """Return what works now. Raises ControlError if the gateway does not answer."""
        view = await self._view()
        return baseline(view, signs=await self._signs())

    async def check(self, before: Mapping[str, Json], *, away: bool, timeout_s: float) -> Judged:
        """Return the verdict: good as soon as it was so several times in a row, bad when the time is up.

        Args:
            before: From `before`.
            away: The update was a configuration, which may take sensors and valves away.
            timeout_s: For all of it.
        """
        until_s = self._clock.now_s() + timeout_s
        self._epoch = None
        good = 0
        while good < IN_A_ROW:
            missed = await self._missed(before, away=away)
            good = 0 if missed else good + 1
            if missed and self._clock.now_s() >= until_s:
                return Judged(healthy=False, missed=_shortened(missed))
            if good < IN_A_ROW:
                await asyncio.sleep(self._every_s)
        return Judged(healthy=True)

    async def _missed(self, before: Mapping[str, Json], *, away: bool) -> tuple[str, ...]:
        try:
            view = await self._view()
        except ControlError as error:
            return (f"the gateway does not answer: {error}",)
        missed = judge(before, view, signs=await self._signs(), configured_away=away).missed
        return (*missed, *self._restarted(view))

    def _restarted(self, view: Mapping[str, Json]) -> tuple[str, ...]:
        """Each start of the gateway has an epoch of its own."""
        gateway = view.get("gateway")
        former, self._epoch = self._epoch, gateway.get("epoch") if isinstance(gateway, dict) else None
        return () if former in (None, self._epoch) else ("the gateway does not stay up",)

    async def _view(self) -> Mapping[str, Json]:
        try:
            async with asyncio.timeout(_VIEW_S):
                return await self._guard.view()
        except TimeoutError:
            raise ControlError("NotReached", f"no answer within {_VIEW_S:g} s") from None

    async def _signs(self) -> bool | None:
        try:
            async with asyncio.timeout(_SIGN_S):
                return await self._signer.sign()
        except TimeoutError:
            return False


def _shortened(missed: tuple[str, ...]) -> tuple[str, ...]:
    more = len(missed) - MOST_MISSED
    return (*missed[:MOST_MISSED], f"and {more} more") if more > 0 else missed
