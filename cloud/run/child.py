"""One of our programs, watched, and started again with growing pauses whenever it ends."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cloud.errors import CloudError, ServiceError
from cloud.run import process
from cloud.run.outlet import Outlet

_PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STABLE_S = 60.0
"""After so long a life the pauses begin anew."""

_ANSWER_S = 20.0
"""Patience with a program that has just been started; a Raspberry Pi needs some five seconds."""

_LOOK_EVERY_S = 0.1
_WATCH_EVERY_S = 10.0
_MOST_FAILURES = 6


def _nothing(line: str) -> bool:
    del line
    return False


@dataclass(frozen=True, slots=True)
class Program:
    """What to run and how to see that it works.

    Args:
        name: For people, and of its log lines.
        command: Program and arguments; it stays in the foreground and ends at SIGTERM.
        prepare: Called before each start, in a thread; may raise CloudError or OSError.
        answers: Returns whether it does what it is for; called in a thread, and may take seconds.
        environment: Added to ours.
        is_noise: Returns whether a line that it says is not worth telling.
    """

    name: str
    command: tuple[str, ...]
    prepare: Callable[[], None]
    answers: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    is_noise: Callable[[str], bool] = _nothing


class Child:
    """One program over all its lives.

    Attributes:
        program: As given.
        up: Set while it answers.
        lives: How often it has begun to answer.
    """

    def __init__(self, program: Program, on_change: Callable[[], None]) -> None:
        self.program = program
        self.up = asyncio.Event()
        self.lives = 0
        self._on_change = on_change
        self._log = logging.getLogger(program.name)
        self._process: asyncio.subprocess.Process | None = None
        self._is_wanted_anew = False
        self._why = ""

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""
        known = self._process
        return known.pid if known is not None and known.returncode is None else None

    async def run(self) -> None:
        """Keep it running until cancelled; then it has ended.

        Raises:
            ServiceError: It ended before it had ever answered: trying again would not help.
        """
        failures = 0
        while True:
            began_s = time.monotonic()
            await self._live()
            if self._is_wanted_anew:
                self._is_wanted_anew = False
                continue
            if not self.lives:
                raise ServiceError(self._why)
            failures = 0 if time.monotonic() - began_s > _STABLE_S else failures
            pause_s = _PAUSES_S[min(failures, len(_PAUSES_S) - 1)]
            failures += 1
            self._log.error("%s; it is started again in %g s", self._why, pause_s)
            await asyncio.sleep(pause_s)

    def renew(self) -> None:
        """End this life of it in good order and begin another one at once."""
        if self._process is not None and self.pid is not None:
            self._is_wanted_anew = True
            self._process.terminate()

    async def _live(self) -> None:
        """Start it and wait until it has ended; `_why` says then why it did."""
        name, self._process = self.program.name, None
        outlet = Outlet(self._say, self.program.is_noise)
        try:
            await asyncio.to_thread(self.program.prepare)
            self._process = await process.start(self.program.command, outlet, self.program.environment)
            await self._until_ended(self._process, outlet)
        except CloudError as error:
            self._why = f"{name} cannot be started: {error}"
        except OSError as error:
            self._why = f"{name} cannot be started: {error.filename}: {error.strerror}"
        except Exception as error:  # noqa: BLE001  # the others go on, whatever it is
            self._log.exception("a fault of the program")
            self._why = f"{name} cannot be started: {type(error).__name__}: {error}"
        finally:
            if self._process is not None:
                await process.end(self._process)
            outlet.close()
            self._fall()

    async def _until_ended(self, alive: asyncio.subprocess.Process, outlet: Outlet) -> None:
        self._why = ""
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._watch(alive))
            status = await alive.wait()
            watch.cancel()
        outlet.close()
        words = outlet.last_words()
        how = f"{self.program.name} ended {process.said_how(status)}" + (f": {words}" if words else "")
        self._why = self._why or how

    async def _watch(self, alive: asyncio.subprocess.Process) -> None:
        """See that it answers, soon and ever again; else kill it."""
        deadline_s = time.monotonic() + _ANSWER_S
        while not (await self._answers() and alive.returncode is None):
            if time.monotonic() > deadline_s:
                self._give_up(alive, _ANSWER_S)
                return
            await asyncio.sleep(_LOOK_EVERY_S)
        self.lives += 1
        self.up.set()
        self._on_change()
        failures = 0
        while failures < _MOST_FAILURES:
            await asyncio.sleep(_WATCH_EVERY_S)
            failures = 0 if await self._answers() else failures + 1
        self._give_up(alive, _MOST_FAILURES * _WATCH_EVERY_S)

    async def _answers(self) -> bool:
        try:
            return await asyncio.to_thread(self.program.answers)
        except Exception:  # noqa: BLE001  # an answer that makes no sense is none
            self._log.exception("it cannot be asked")
            return False

    def _give_up(self, alive: asyncio.subprocess.Process, after_s: float) -> None:
        self._why = f"{self.program.name} ran but did not answer for {after_s:g} s"
        alive.kill()

    def _say(self, line: str) -> None:
        self._log.info("%s", line)

    def _fall(self) -> None:
        if self.up.is_set():
            self.up.clear()
            self._on_change()
