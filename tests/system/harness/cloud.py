"""A whole cloud on this host's loopback, driven by `reed-cloud` alone, and its ingest, which counts."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.cli.demo.cloud import Cloud as Ingest
from gateway.cli.demo.credentials import Credentials

_READY_S = 60.0
_HOST = "localhost"


class ControlPlane:
    """One home of `reed-cloud`.

    Args:
        folder: Where it is made; empty.
        ek_makers: PEM files of those who vouch for TPMs.
    """

    def __init__(self, folder: Path, *ek_makers: Path) -> None:
        self.home = folder / "home"
        self._folder = folder
        self.https_port, self.broker_port, self.admin_port = _free_ports(3)
        ports = ("--https-port", str(self.https_port), "--broker-port", str(self.broker_port))
        self.ask("init", "--host", _HOST, "--bind", "127.0.0.1", *ports, "--admin-port", str(self.admin_port))
        for number, maker in enumerate(ek_makers):
            shutil.copy(maker, self.home / "ek-roots" / f"maker-{number}.pem")

    @property
    def url(self) -> str:
        """Where gateways enrol."""
        return f"https://{_HOST}:{self.https_port}"

    def ask(self, *words: str) -> str:
        """Run a command of `reed-cloud`; return what it printed.

        Raises:
            AssertionError: It failed; the message has its last words.
        """
        command = [sys.executable, "-m", "cloud", *words, "--home", str(self.home)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert not done.returncode, f"reed-cloud {' '.join(words)}: {done.returncode}\n{done.stderr[-2000:]}"
        return done.stdout

    def token(self, gateway_id: str, *, attestation: str = "required") -> str:
        """Expect a gateway and return a token for it."""
        self.ask("gateway", "expect", gateway_id, "--site", "house", "--attestation", attestation)
        return self.ask("token", "create", gateway_id).strip()

    def audit(self) -> list[dict[str, Any]]:
        """Return the audit trail as `reed-cloud audit --json` shows it."""
        told = json.loads(self.ask("audit", "--json"))
        entries: list[dict[str, Any]] = told["entries"] if isinstance(told, dict) else told
        return entries

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have `reed-cloud run` until the block ends."""
        notify = self._folder / "notify"
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
            (self._folder / "run.log").open("wb") as log,
        ):
            ear.bind(os.fspath(notify))
            ear.settimeout(_READY_S)
            running = subprocess.Popen(
                [sys.executable, "-m", "cloud", "run", "--home", str(self.home)],
                stdout=log,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(notify)},
            )
            try:
                while b"READY=1" not in ear.recv(4096):
                    pass
                yield
            finally:
                running.terminate()
                running.wait(30)

    def ingest(self, gateway_id: str) -> Ingest:
        """Return the cloud end that keeps messages and confirms them; `run` it."""
        services = self.home / "services"
        files = Credentials(
            name="ingest",
            gateway_id=gateway_id,
            ca_file=self.home / "ca" / "roots.pem",
            cert_file=services / "ingest.pem",
            key_file=services / "ingest.key",
            command_key_file=services / "command.key",
        )
        return Ingest(files, _HOST, self.admin_port)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def until(holds: Callable[[], object], wish: str, within_s: float = 20.0) -> float:
    """Wait until `holds()` is true; return how long that took."""
    began_s = time.monotonic()
    while not holds():
        assert time.monotonic() < began_s + within_s, f"waited {within_s:g} s for {wish}"
        time.sleep(0.05)
    return time.monotonic() - began_s
