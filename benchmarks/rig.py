"""A whole site for measurements: broker, simulated building, daemon, all on loopback and all our own."""

import compileall
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.cli.demo import devca
from gateway.cli.demo.broker import Broker
from gateway.cli.demo.devca import DevCa

GATEWAY_ID = "bench-gateway"
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Site:
    """Folder, authority and broker of one measurement."""

    folder: Path
    ca: DevCa
    broker: Broker

    def base_config(self, *, receipts: str = "broker", replay_per_s: int = 0) -> str:
        """Return the part of the configuration that all measurements share."""
        return f"""
[gateway]
id = "{GATEWAY_ID}"
state_dir = "{self.folder / "state"}"
runtime_dir = "{self.folder / "run"}"
[board]
kind = "sim"
socket = "{self.folder / "building.sock"}"
[link]
host = "localhost"
port = {self.broker.port}
ca_file = "{self.ca.ca_file}"
cert_file = "{self.ca.cert_file(GATEWAY_ID)}"
key_file = "{self.ca.key_file(GATEWAY_ID)}"
command_key_file = "{self.ca.command_key_file}"
receipts = "{receipts}"
replay_per_s = {replay_per_s}
"""


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """Make a folder with certificates and start a broker that demands them."""
    # as an installed package has it: nothing is compiled when the daemon starts
    compileall.compile_dir(ROOT / "gateway", quiet=1)
    with tempfile.TemporaryDirectory(prefix="reed-bench-") as name:
        folder = Path(name)
        (folder / "run").mkdir()
        (folder / "state").mkdir()
        ca = devca.ensure(folder / "ca", GATEWAY_ID)
        with Broker(ca, folder / "broker") as broker:
            yield Site(folder, ca, broker)


@contextlib.contextmanager
def started(
    arguments: list[str],
    folder: Path,
    extra: Mapping[str, str] | None = None,
    inherit: Sequence[int] = (),
) -> Iterator["Started"]:
    """Start a program that speaks sd_notify; enter once it has said READY=1."""
    path = folder / f"notify-{time.monotonic_ns()}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(str(path))
        environment = {**os.environ, "NOTIFY_SOCKET": str(path), "PYTHONPATH": str(ROOT), **(extra or {})}
        with (folder / "log").open("ab") as log:
            begin_s = time.perf_counter()
            process = subprocess.Popen(
                arguments, env=environment, stdout=log, stderr=log, cwd=ROOT, pass_fds=inherit
            )
        try:
            _await_ready(inbox, process, folder)
            yield Started(process, time.perf_counter() - begin_s)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_ready(inbox: socket.socket, process: subprocess.Popen[bytes], folder: Path) -> None:
    inbox.settimeout(0.5)
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s and process.poll() is None:
        with contextlib.suppress(TimeoutError):
            if b"READY=1" in inbox.recv(4096):
                return
    raise RuntimeError("not ready:\n" + (folder / "log").read_text()[-2000:])


@dataclass(frozen=True, slots=True)
class Started:
    """A process and how long it took to be ready."""

    process: subprocess.Popen[bytes]
    start_s: float


def python(*arguments: str) -> list[str]:
    """Return a command line for our interpreter."""
    return [sys.executable, *arguments]


@contextlib.contextmanager
def building(folder: Path, plan: Path) -> Iterator[None]:
    """Start the simulated building in a process of its own."""
    path = folder / "building.sock"
    arguments = python("-m", "gateway", "building", "--plan", str(plan), "--socket", str(path))
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(arguments, cwd=ROOT, stdout=log, stderr=log)
    try:
        deadline_s = time.monotonic() + 20
        while not path.exists():
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"the building did not start; see {folder / 'log'}")
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(10)
