"""`reed-cloud run`: starts everything, tells when all answers, keeps it so, and ends it again."""

import asyncio
import contextlib
import logging
import os
import signal
from pathlib import Path

from cloud.errors import BrokerError, CloudError, ServiceError
from cloud.home import Home
from cloud.project.config import Config
from cloud.project.setup import migrate
from cloud.registry import services
from cloud.registry.parts import parts
from cloud.run import upkeep
from cloud.run.child import Child
from cloud.run.notify import Notifier
from cloud.run.programs import check_ports, front_door, programs
from cloud.run.single import alone
from cloud.run.upkeep import Upkeep

_LOOK_EVERY_S = 0.5
_log = logging.getLogger("reed-cloud")


def run(home: Home, config: Config) -> None:
    """Run in the foreground until SIGTERM or SIGINT.

    Args:
        home: Made by `init`; the registry works on it already.
        config: Its settings.

    Raises:
        CloudError: Something is missing, a port is taken, or a program does not start.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until we can do what it asks
    with alone(home):
        check_ports(config)
        asyncio.run(_Supervisor(home, config).run())


class _Supervisor:
    def __init__(self, home: Home, config: Config) -> None:
        self._home = home
        self._config = config
        self._notifier = Notifier.from_environment()
        self._stop = asyncio.Event()
        self._is_ready = False
        self._children = [Child(program, self._on_change) for program in programs(home, config)]
        self._broker = [child for child in self._children if child.program.name == "mosquitto"]
        self._upkeep = Upkeep(self._tell, lambda: all(child.up.is_set() for child in self._broker))
        self._lives = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._look_again)
        try:
            for work in (migrate, upkeep.ensure_services, _publish):
                await self._upkeep.do(work)
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(child.run(), name=child.program.name) for child in self._children
                ]
                serving = tasks.create_task(self._serve(), name="upkeep")
                await self._stop.wait()
                self._notifier.stopping()
                serving.cancel()
                await self._upkeep.rest()  # what it asks the broker now still gets its answer
                for task in running:
                    task.cancel()
        except BaseExceptionGroup as group:
            raise _foreseen(group) from None
        finally:
            self._upkeep.close()

    async def _serve(self) -> None:
        """Keep everything up to date from when all answers."""
        for child in self._children:
            await child.up.wait()
        await self._upkeep.once()
        await self._check_front_door()
        self._is_ready = True
        self._notifier.ready(self._well)
        _log.info(self._well)
        self._tell()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._upkeep.run(), name="rounds")
            tasks.create_task(self._reload(), name="reload")

    async def _check_front_door(self) -> None:
        """Raise ServiceError if not all is well, seen from where everybody comes in."""
        health = await asyncio.to_thread(front_door(self._home, self._config).health)
        if health != "ok":
            raise ServiceError(f"everything runs, but not all is well: {health or 'no answer'}")

    async def _reload(self) -> None:
        """Tell a program when a file that it has read is another one, whoever changed it."""
        files = {child: _files_of(child.program.name, self._home) for child in self._children}
        read = {child: _signatures(files[child]) for child in self._children}
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            for child in self._children:
                now = _signatures(files[child])
                if now != read[child] and child.pid is not None and child.up.is_set():
                    os.kill(child.pid, signal.SIGHUP)
                    read[child] = now

    def _look_again(self) -> None:
        """SIGHUP: the authority or the registry was changed by another process of ours."""
        parts().forget_issuer()
        for child in self._children:
            if child.program.name == "web":
                child.renew()
        self._upkeep.now()

    def _on_change(self) -> None:
        """A child has begun or ceased to answer."""
        lives = sum(child.lives for child in self._broker)
        if self._is_ready and lives != self._lives:
            self._upkeep.now()  # what the registry decided while the broker was away
        self._lives = lives
        self._tell()

    def _tell(self) -> None:
        """Say how we are, to systemd and to whoever reads the log."""
        if not self._is_ready:
            return
        down = [child.program.name for child in self._children if not child.up.is_set()]
        status = "; ".join(
            [*(f"{name} does not answer" for name in down), *filter(None, [self._upkeep.problem])]
        )
        self._notifier.status("; ".join([status or self._well, *self._upkeep.warnings]))

    @property
    def _well(self) -> str:
        public, broker = self._config.public, self._config.broker
        return f"all answers: {public.url}, broker on port {broker.port}"


def _publish() -> None:
    """Have revocation lists that hold, before anything reads them."""
    with contextlib.suppress(BrokerError):  # it does not run yet; it gets them before it starts
        services.refresh_crl()


def _files_of(program: str, home: Home) -> tuple[Path, ...]:
    """Return what a program reads at its start and at SIGHUP, beside what our own code hands it."""
    match program:
        case "nginx":
            return home.crl_file, home.chain_file, home.cert_file("web")
        case "mosquitto":
            return home.chain_file, home.cert_file("broker")
        case _:
            return ()


def _signatures(files: tuple[Path, ...]) -> list[tuple[int, int]]:
    found = []
    for file in files:
        with contextlib.suppress(OSError):
            stat = file.stat()
            found.append((stat.st_ino, stat.st_mtime_ns))
    return found


def _foreseen(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the failure that a person can do something about, if there is one; else all of them."""
    for error in group.exceptions:
        inner = _foreseen(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(inner, CloudError):
            return inner
    return group
