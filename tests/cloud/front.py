"""A real nginx before a real uvicorn on a unix socket, and a client that speaks TLS to it."""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cloud.home import Home
from cloud.registry.config import Public
from cloud.run.nginx import config_text

REPOSITORY = Path(__file__).parents[2]
Pair = tuple[Path, Path]

_START_S = 20.0
_PATIENCE_S = 20.0


def free_port() -> int:
    """Return a loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def line(self) -> str:
        """The body, which must be one line of text."""
        assert self.headers.get_content_type() == "text/plain", self.headers.items()
        text = self.body.decode()
        assert text.endswith("\n"), text
        assert "\n" not in text[:-1], text
        assert text.strip()
        return text[:-1]


class Front:
    """Both processes; they run within `with`.

    Args:
        home: With certificates, CRL and folders as nginx wants them.
        application: What uvicorn runs.
        updates_dir: What gateways get under /updates/.
        timeout_s: nginx' patience with slow clients; "" is what the configuration says.
    """

    def __init__(self, home: Home, application: str, timeout_s: str = "", updates_dir: str = "") -> None:
        self.home = home
        self.port = free_port()
        self.log_file = home.folder / "front.log"
        self._application = application
        self._timeout_s = timeout_s
        self._updates_dir = updates_dir
        self._uvicorn: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for folder in (self.home.nginx, self.home.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        public = Public(bind="127.0.0.1", https_port=self.port, updates_dir=self._updates_dir)
        config_file = self.home.nginx / "nginx.conf"
        text = config_text(self.home, public, as_root=os.geteuid() == 0)
        if self._timeout_s:
            text = text.replace("_timeout 10s", f"_timeout {self._timeout_s}s")
        config_file.write_text(text)
        uvicorn = [sys.executable, "-m", "uvicorn", self._application, "--uds", str(self.home.web_socket)]
        self._uvicorn = [*uvicorn, "--no-proxy-headers", "--no-server-header", "--lifespan", "off"]
        nginx = ["/usr/sbin/nginx", "-c", str(config_file), "-e", "stderr", "-p", str(self.home.nginx)]
        self._processes = [self._start(self._uvicorn), self._start(nginx)]
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            process.wait(_PATIENCE_S)

    def _start(self, words: list[str]) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "REED_CLOUD_HOME": str(self.home.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        with self.log_file.open("ab") as log:
            return subprocess.Popen(words, stdout=log, stderr=log, env=environment, cwd=REPOSITORY)

    def _wait(self) -> None:
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s and all(each.poll() is None for each in self._processes):
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", self.port), 1),
                socket.socket(socket.AF_UNIX) as upstream,
            ):
                upstream.connect(str(self.home.web_socket))
                return
            time.sleep(0.02)
        raise AssertionError(f"not started:\n{self.log_file.read_text()[-3000:]}")

    def stop_application(self) -> None:
        """End uvicorn; nginx stays."""
        self._processes[0].terminate()
        self._processes[0].wait(_PATIENCE_S)

    def restart_application(self) -> None:
        """Let uvicorn begin anew."""
        self.stop_application()
        self._processes[0] = self._start(self._uvicorn)
        self._wait()

    def reload(self) -> None:
        """Let nginx read its files again; return when only the new worker is there."""
        before = self._workers()
        self._processes[1].send_signal(signal.SIGHUP)
        deadline_s = time.monotonic() + _PATIENCE_S
        while before & (now := self._workers()) or not now:
            assert time.monotonic() < deadline_s, "nginx keeps its old workers"
            time.sleep(0.01)

    def _workers(self) -> set[str]:
        master = self._processes[1].pid
        return set(Path(f"/proc/{master}/task/{master}/children").read_text().split())

    # --- clients ------------------------------------------------------------------------------------

    def context(self, pair: Pair | None = None, tls: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Return what a client needs that trusts the home's roots."""
        context = ssl.create_default_context(cafile=str(self.home.roots_file))
        if pair:
            context.load_cert_chain(*pair)
        if tls:
            context.minimum_version = context.maximum_version = tls
        return context

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        pair: Pair | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Answer:
        """Send one request on a connection of its own."""
        context = context or self.context(pair)
        connection = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=_PATIENCE_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())

    def raw(self, data: bytes, pair: Pair | None = None) -> bytes:
        """Send bytes over TLS and return everything that comes back until the server closes."""
        got = b""
        with (
            socket.create_connection(("127.0.0.1", self.port), _PATIENCE_S) as plain,
            self.context(pair).wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            tls.sendall(data)
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while part := tls.recv(65_536):
                    got += part
        return got
