"""Keeps the identity folder while the daemon runs: writes down what came of trials, tells what is new.

It never makes a key nor asks for a certificate: that is for `reed-gateway enrol` and `renew`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Protocol, TypeVar

from gateway.app.clock import WallClock
from gateway.app.credentials import Enrolled, Look, Verdict
from gateway.app.folder import mark
from gateway.app.troubles import troubles
from gateway.domain.events import AdapterFailed, AdapterRecovered
from gateway.domain.ports import Emit
from gateway.errors import IdentityError
from gateway.identity.slots import Slots
from gateway.link.blocking import Lane

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0
"""Who changes the folder tells us; this is for those who could not."""

_AGAIN_S: Final = 5.0
_LIMIT_S: Final = 30.0
_LOCK_WAIT_S: Final = 10.0

_T = TypeVar("_T")


class Line(Protocol):
    """What the keeper needs of the link."""

    @property
    def is_up(self) -> bool:
        """There is a session with the broker."""

    def hand_over(self) -> None:
        """Begin a new session now."""

    def retry(self) -> None:
        """Try now instead of waiting; a session that begins goes on."""


class Keeper:
    """A part of the daemon.

    Args:
        slots: What it writes to.
        clock: Without its trust no certificate ends.
        emit: Takes the troubles.
    """

    def __init__(self, slots: Slots, clock: WallClock, emit: Emit) -> None:
        self._slots, self._clock, self._emit = slots, clock, emit
        self._verdicts: deque[Verdict] = deque()
        self._lane = Lane()
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._nudged = False
        self._told: dict[str, str] = {}
        self._complaint = ""

    def decide(self, verdict: Verdict) -> None:
        """Write this down soon, and try as often as it takes; from any thread."""
        if verdict not in self._verdicts:  # each session decides the same while the disk is full
            self._verdicts.append(verdict)
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._woken.set)

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    def nudge(self) -> None:
        """Look now: somebody has changed something, and the link is to try it whatever it waits for."""
        self._nudged = True
        self._woken.set()

    async def run(self, credentials: Enrolled, line: Line) -> None:
        """Serve until cancelled.

        Raises:
            IdentityError: The folder cannot be read; run again later.
        """
        while True:
            self._woken.clear()
            settled = await self._settle()
            look, troubles = await self._blocking(partial(self._look, credentials))
            nudged, self._nudged = self._nudged, False
            self._tell(troubles)
            if look.is_other if line.is_up else look.is_new:
                line.hand_over()
            elif nudged and not line.is_up:
                line.retry()
            await self._wait(LOOK_EVERY_S if settled else _AGAIN_S)

    async def _settle(self) -> bool:
        """Write down what was decided; return whether all of it is on the disk."""
        while self._verdicts:
            try:
                outcome = await self._blocking(partial(self._write, self._verdicts[0]))
            except IdentityError as error:
                if str(error) != self._complaint:
                    self._complaint = str(error)
                    log.warning("cannot write down what came of a trial: %s", error)
                return False
            self._verdicts.popleft()
            log.info("%s", outcome)
        self._complaint = ""
        return True

    def _write(self, verdict: Verdict) -> str:
        pair, slots = verdict.pair, self._slots
        with slots.locked(_LOCK_WAIT_S):
            if mark(pair) != verdict.mark:
                return f"slot {pair.slot} has another certificate by now; nothing was changed"
            if verdict.refused_because:
                slots.reject(pair, verdict.refused_because)
                return f"the new certificate (slot {pair.slot}) is given up: {verdict.refused_because}"
            slots.promote(pair)
            return f"the certificate in slot {pair.slot} works, and is the one in use from now on"

    def _look(self, credentials: Enrolled) -> tuple[Look, dict[str, str]]:
        look = credentials.look()
        found = troubles(look.current, self._slots.attempt, self._clock.trusted_unix_s())
        return look, found | ({"identity": credentials.problem} if credentials.problem else {})

    def _tell(self, found: dict[str, str]) -> None:
        for name, problem in found.items():
            if self._told.get(name) == problem:
                continue
            self._told[name] = problem
            self._emit(AdapterFailed(name, problem) if problem else AdapterRecovered(name))

    async def _blocking(self, work: Callable[[], _T]) -> _T:
        try:
            return await self._lane.run("the identity folder", work, _LIMIT_S)
        except TimeoutError:
            raise IdentityError(f"{self._slots.folder}: the disk does not answer") from None

    async def _wait(self, longest_s: float) -> None:
        try:
            async with asyncio.timeout(longest_s):
                await self._woken.wait()
        except TimeoutError:
            pass
