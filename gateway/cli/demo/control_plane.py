"""`reed-cloud` as an operator has it: set up once, run in the foreground, spoken to by its commands."""

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.cli.demo import process
from gateway.cli.demo.credentials import Credentials
from gateway.cli.demo.place import Place
from gateway.errors import DemoError, LinkError

HOST = "localhost"
BROKER_HOST = "127.0.0.1"

_SITE = "demo building"
_READY_S = 40.0
_LOOK_EVERY_S = 0.1
_PACKAGES = ("cloud", "django", "uvicorn")
_PROGRAMS = {"mosquitto": "mosquitto", "nginx": "nginx-light"}
"""Program and Debian package."""


def check_installed() -> None:
    """Raise LinkError if something is missing, with the way to get it."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    for program, package in _PROGRAMS.items():
        if shutil.which(program, path=search) is None:
            raise LinkError(f"{program} is missing; install it with: apt install {package}")
    if any(importlib.util.find_spec(name) is None for name in _PACKAGES):
        raise LinkError("the cloud's Python packages are missing; install them with: ./bootstrap run,cloud")


class ControlPlane:
    """One home of `reed-cloud`, on the loopback only, on ports that are free now."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._home = place.cloud
        self._cloud: asyncio.subprocess.Process | None = None
        self.https_port, self.broker_port, self.admin_port = _free_ports(3)

    @property
    def url(self) -> str:
        """Where gateways enrol."""
        return f"https://{HOST}:{self.https_port}"

    @property
    def roots_file(self) -> Path:
        """PEM: the roots that it trusts."""
        return self._home / "ca" / "roots.pem"

    def ingest(self, gateway_id: str) -> Credentials:
        """Return what its own client connects and signs with; see cloud/home.py."""
        services = self._home / "services"
        return Credentials(
            name="ingest",
            gateway_id=gateway_id,
            ca_file=self.roots_file,
            cert_file=services / "ingest.pem",
            key_file=services / "ingest.key",
            command_key_file=services / "command.key",
        )

    @property
    def is_set_up(self) -> bool:
        """Whether an earlier demo has left a home that is complete."""
        return (self._home / "secret.key").exists() and not (self._home / "init-unfinished").exists()

    async def set_up(self) -> None:
        """Make the home if there is none yet; otherwise it gets new ports only. Raises DemoError."""
        settings = self._home / "cloud.toml"
        if not self.is_set_up:
            await self.ask("init", "--host", HOST, "--bind", BROKER_HOST)
        settings.write_text(self._with_ports(settings.read_text(encoding="utf-8")), encoding="utf-8")

    def _with_ports(self, text: str) -> str:
        ports = {"https_port": self.https_port, "port": self.broker_port, "admin_port": self.admin_port}
        for key, port in ports.items():
            text = re.sub(rf"(?m)^{key} = [0-9]+$", f"{key} = {port}", text)
        return text

    @asynccontextmanager
    async def running(self, pids: list[int]) -> AsyncIterator[None]:
        """Have `reed-cloud run` until the block ends; its processes are added to `pids`.

        Raises:
            DemoError: It does not start.
        """
        log_file = self._place.log_file("cloud")
        path = self._place.cloud_notify_socket
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.bind(os.fspath(path))
            ear.setblocking(False)
            arguments = ["run", "--home", str(self._home)]
            started = process.child(arguments, log_file, program="cloud", NOTIFY_SOCKET=str(path))
            async with started as self._cloud:
                if not await _hears_ready(ear, self._cloud):
                    raise DemoError(f"the cloud did not start; its last words: {process.last_line(log_file)}")
                pids += process.family(self._cloud.pid)
                yield

    async def watch(self) -> None:
        """Watch `reed-cloud run` until cancelled. Raises DemoError when it ends."""
        if self._cloud is not None:
            how = process.said_how(await self._cloud.wait())
            words = process.last_line(self._place.log_file("cloud"))
            raise DemoError(f"the cloud ended {how}; its last words: {words}")

    async def ask(self, *arguments: str) -> str:
        """Run a command of `reed-cloud` on this home and return what it printed. Raises DemoError."""
        return await process.ask("cloud", *arguments, "--home", str(self._home))

    async def token_for(self, gateway_id: str) -> str:
        """Return a new token for enrolment, whatever an earlier demo has left. Raises DemoError."""
        known = json.loads(await self.ask("gateway", "expect", gateway_id, "--site", _SITE, "--json"))
        if known["state"] == "denied":
            await self.ask("gateway", "grant", gateway_id, "--reason", "a new demo")
        return (await self.ask("token", "create", gateway_id, "--for", "1h")).strip()


async def _hears_ready(ear: socket.socket, cloud: asyncio.subprocess.Process) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_READY_S):
            while cloud.returncode is None:
                with contextlib.suppress(BlockingIOError):
                    if b"READY=1" in ear.recv(4096).split(b"\n"):
                        return True
                await asyncio.sleep(_LOOK_EVERY_S)
    return False


def _free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody uses now, all different."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind((BROKER_HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
