"""A real mosquitto with the cloud's own configuration, on this host."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from cloud.brokers import open_broker
from cloud.brokers.mosquitto import config
from cloud.brokers.settings import Settings
from tests.fakes.authority import Authority

_START_S = 60.0


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody uses now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when something listens there. Raises RuntimeError: it ended, or did not come up."""
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    raise RuntimeError("the broker did not start")


class Mosquitto:
    """The broker of `authority.home`; a `Rig` of the conformance suite."""

    obeys_crl = True

    def __init__(self, folder: Path, timeout_s: float = 3.0) -> None:
        self.authority = Authority(folder)
        self.home = self.authority.home
        self.timeout_s = timeout_s
        self.port, self.ingest_port = free_ports(2)
        self.settings = Settings(
            port=self.port, bind="127.0.0.1", admin_port=self.ingest_port, timeout_s=timeout_s
        )
        self.admin = open_broker(self.settings, self.home)
        self.name = "mosquitto (this host)"
        self.log_file = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.admin.install_crl(self.authority.crl())
        config.write_config(self.home, self.settings)
        config.write_access(self.home, [])
        self.start()
        self.name = self.admin.stats().version
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and return when it serves."""
        command = [str(config.find_mosquitto()), "-c", str(config.config_file(self.home))]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        wait_for_port(self.ingest_port, self._process)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGCONT)
            self._process.terminate()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def restart(self) -> None:
        self.stop()
        self.start()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)
