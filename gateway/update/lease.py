"""May the next step be taken now? The core, the maintenance window and people who have paused have a say."""

import asyncio
import logging

from gateway.domain.update import window as windows
from gateway.domain.update.model import Leased, Order, Step, Window
from gateway.errors import ControlError
from gateway.update.mailbox import Mailbox
from gateway.update.ports import Clock, Guard

_log = logging.getLogger(__name__)

_ANSWER_S = 15.0

GIVEN_UP_S = 900.0
"""systemd starts a gateway that ends within seconds. One that has not answered for so long protects nothing,
and what is to be installed may be what mends it."""


class Leases:
    """Asks everybody who has a say.

    Args:
        guard: The running daemon.
        mailbox: Where people pause.
        clock: For the window and the pause.
        window: Of the configuration; what an order says comes first.
    """

    def __init__(self, guard: Guard, mailbox: Mailbox, clock: Clock, window: Window | None) -> None:
        self._guard = guard
        self._mailbox = mailbox
        self._clock = clock
        self._window = window
        self._silent_since_s: float | None = None
        self.closed_for_s = 0.0
        """So long the window or a pause certainly holds, as of the last answer."""

    async def ask(self, order: Order, step: Step, *, away: bool = False) -> Leased:
        """Return the answer now.

        Args:
            order: What is under way.
            step: What is to be done.
            away: From a system that failed its trial: neither a window nor a pause keeps us there.
        """
        self.closed_for_s = 0.0
        if not away and (reasons := self._local(order, step)):
            return Leased(step, granted=False, reasons=reasons)
        return await self._of_core(step)

    def _local(self, order: Order, step: Step) -> tuple[str, ...]:
        pause = self._mailbox.paused()
        if pause is not None:
            clock = self._clock
            left_s = pause.left_s(clock.now_s(), clock.boot_id, clock.now_unix_s())
            if left_s > 0:
                self.closed_for_s = left_s
                return ("updates are paused",)
        window = order.window or self._window
        if step is Step.DOWNLOAD or window is None:
            return ()
        minute = self._clock.minute()
        if minute is None:
            return (f"waits for {windows.shown(window)}, and the clock is not set",)
        self.closed_for_s = 60.0 * windows.opens_in_min(window, minute)
        return (f"waits for {windows.shown(window)}",) if self.closed_for_s else ()

    async def _of_core(self, step: Step) -> Leased:
        try:
            async with asyncio.timeout(_ANSWER_S):
                lease = await self._guard.lease(step)
        except (ControlError, TimeoutError) as error:
            _log.info("nobody gives a lease: %s", error or "no answer")
            # a download is harmless, and may be the one that brings the mended version
            granted = self._has_given_up() or step is Step.DOWNLOAD
            return Leased(step, granted=granted, reasons=("the gateway does not answer",), dead=True)
        self._silent_since_s = None
        return Leased(step, granted=lease.granted, reasons=tuple(lease.reasons))

    def _has_given_up(self) -> bool:
        now_s = self._clock.now_s()
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        return now_s - self._silent_since_s >= GIVEN_UP_S
