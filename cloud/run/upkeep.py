"""What must be done ever again: certificates of our services, revocation lists, agreement with the broker."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cloud.errors import CloudError
from cloud.registry import services
from cloud.registry.parts import parts
from cloud.run import database
from cloud.run.services import hosts_of

ROUND_S = 60.0
"""Between two looks; what is not due costs a query, and a question to the broker."""

_REST_S = 3.0
_RETRY_S = (2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""After failures; each of them stands in the audit trail."""

_ACTOR = "reed-cloud run"
_log = logging.getLogger("upkeep")


class Upkeep:
    """Works in one thread of its own, so that nothing of it is done twice at a time.

    Args:
        on_change: Called when `problem` has changed.
        may_ask_broker: Returns whether there is a broker to agree with.

    Attributes:
        warnings: What an operator has to do in the next months.
        problem: What could not be done the last time, in a line; "" if all was.
    """

    def __init__(self, on_change: Callable[[], None], may_ask_broker: Callable[[], bool]) -> None:
        self.problem = ""
        self.warnings: tuple[str, ...] = ()
        self._on_change = on_change
        self._may_ask_broker = may_ask_broker
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="upkeep")
        self._wake = asyncio.Event()

    def now(self) -> None:
        """Have everything done at once: something has changed."""
        self._wake.set()

    async def do(self, work: Callable[[], None]) -> None:
        """Do something in the thread of upkeep. Raises what it raises, and ServiceError."""
        await asyncio.get_running_loop().run_in_executor(self._thread, _with_database, work)

    async def run(self) -> None:
        """Go on until cancelled."""
        failures = 0
        while True:
            await self.once()
            failures = failures + 1 if self.problem else 0
            pause_s = _RETRY_S[min(failures, len(_RETRY_S)) - 1] if failures else ROUND_S
            try:
                async with asyncio.timeout(pause_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def once(self) -> None:
        """Do what is due."""
        self._wake.clear()
        before, self.problem = (self.problem, self.warnings), ""
        for work in (ensure_services, self._reconcile, self._look_ahead):
            try:
                await self.do(work)
            except (CloudError, OSError) as error:
                self._note(str(error))
            except Exception as error:  # noqa: BLE001  # broker and pages go on, whatever it is
                _log.exception("a fault of the program")
                self._note(f"{type(error).__name__}: {error}")
        if (self.problem, self.warnings) != before:
            self._on_change()
        if self.problem != before[0]:
            _log.log(
                logging.ERROR if self.problem else logging.INFO, "%s", self.problem or "all is well again"
            )

    async def rest(self) -> None:
        """Wait, but not for long, until what is being done is done."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REST_S):
                await asyncio.get_running_loop().run_in_executor(self._thread, _nothing)

    def close(self) -> None:
        """Let go of the thread; what it does now is finished first."""
        self._thread.shutdown(cancel_futures=True)

    def _reconcile(self) -> None:
        """Have broker and revocation lists follow the registry; what fails is noted."""
        if not self._may_ask_broker():
            return
        report = services.reconcile()
        for word, ids in (("granted", report.granted), ("denied", report.denied)):
            if ids:
                _log.info("the broker differed from the registry; %s: %s", word, _some(ids))
        if report.problems:
            self._note("; ".join(report.problems))

    def _look_ahead(self) -> None:
        found = services.warnings()
        for warning in found:
            if warning not in self.warnings:
                _log.warning("%s", warning)
        self.warnings = found

    def _note(self, problem: str) -> None:
        self.problem = f"{self.problem}; {problem}" if self.problem else problem


def ensure_services() -> None:
    """Make the certificates of our services that are missing or near their end.

    Raises:
        CloudError: The authority cannot sign.
    """
    renewed = services.ensure_services(hosts_of(parts().public), actor=_ACTOR)
    if renewed:
        _log.info("new certificates: %s", ", ".join(renewed))


def _nothing() -> None:
    pass


def _with_database(work: Callable[[], None]) -> None:
    with database.in_use():
        work()


def _some(ids: tuple[str, ...] | list[str]) -> str:
    most = 10
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")
