"""The gateway as systemd runs it: READY is heard, a death is followed by another start."""

import asyncio
import os
import socket
import time
from typing import Any

from gateway.cli.demo import process
from gateway.cli.demo.place import Place
from gateway.control.client import Client
from gateway.errors import DemoError

RESTART_S = 1.0
"""As `RestartSec=1`."""

_READY_S = 20.0


class Service:
    """One gateway, over all its restarts.

    Attributes:
        pids: Of every process so far; shared with the stage.
        ready_after_s: Time from its start to READY, of every process that said so.
        state: A word for people.
    """

    def __init__(self, place: Place, pids: list[int]) -> None:
        self.pids = pids
        self.ready_after_s: list[float] = []
        self.state = "starting"
        self._place = place
        self._process: asyncio.subprocess.Process | None = None
        self._started_s = 0.0
        self._killed_s = 0.0
        self._ready = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Serve until cancelled or stopped.

        Raises:
            DemoError: The gateway ends by itself.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.bind(os.fspath(self._place.notify_socket))
            ear.setblocking(False)
            loop = asyncio.get_running_loop()
            loop.add_reader(ear, self._hear, ear)
            try:
                while not self._stopping:
                    await self._live()
            finally:
                loop.remove_reader(ear)

    async def _live(self) -> None:
        arguments = ["run", "--config", str(self._place.config_file)]
        log_file = self._place.log_file("gateway")
        self._started_s = time.monotonic()
        self.state = "starting"
        notify = str(self._place.notify_socket)
        async with process.child(arguments, log_file, NOTIFY_SOCKET=notify) as self._process:
            self.pids.append(self._process.pid)
            status = await self._process.wait()
        self._ready.clear()
        self.state = "ended"
        if self._stopping:
            return
        if status >= 0:
            problem = process.last_line(log_file)
            raise DemoError(f"the gateway ended {process.said_how(status)}; its last words: {problem}")
        self.state = "killed, starts again"
        await asyncio.sleep(RESTART_S)

    def _hear(self, ear: socket.socket) -> None:
        if "READY=1" in ear.recv(4096).decode(errors="replace").split("\n") and not self._ready.is_set():
            self.ready_after_s.append(time.monotonic() - self._started_s)
            self.state = "runs"
            self._ready.set()

    async def until_ready(self) -> float:
        """Wait until the gateway protects; return how long its start took. Raises DemoError."""
        try:
            async with asyncio.timeout(_READY_S):
                await self._ready.wait()
        except TimeoutError:
            raise DemoError(f"the gateway was not ready within {_READY_S:g} s") from None
        return self.ready_after_s[-1]

    async def until_back(self) -> float:
        """Wait until the gateway protects after `kill`; return how long it did not. Raises DemoError."""
        await self.until_ready()
        return self._started_s + self.ready_after_s[-1] - self._killed_s

    async def kill(self) -> None:
        """End it as a crash would, with SIGKILL; `run` starts it again. Raises DemoError if it is down."""
        gateway = self._process
        if gateway is None or gateway.returncode is not None:
            raise DemoError("the gateway is down already")
        self._ready.clear()
        self._killed_s = time.monotonic()
        gateway.kill()
        await gateway.wait()

    async def stop(self) -> int:
        """End it with SIGTERM, for good, and return its exit status."""
        self._stopping = True
        if self._process is None:
            raise DemoError("the gateway has not been started")
        return await process.end(self._process)

    async def view(self) -> dict[str, Any]:
        """Return everything that the gateway shows locally. Raises ControlError."""
        return await asyncio.to_thread(self._call, "GetView", "view")

    def _call(self, method: str, key: str) -> dict[str, Any]:
        with Client(self._place.control_socket) as client:
            answer: dict[str, Any] = client.call(method)[key]
        return answer
