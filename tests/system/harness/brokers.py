"""Brokers of Debian 13, each in a machine of its own, administered from in there with Debian's Python."""

import base64
import dataclasses
import itertools
import json
import signal
import subprocess
import threading
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from cloud.brokers.interface import Stats
from cloud.brokers.rabbitmq import config as rabbit_config
from cloud.brokers.settings import Settings
from cloud.errors import BrokerError
from cloud.home import Home
from tests.fakes.authority import Authority
from tests.fakes.mosquitto import free_ports, wait_for_port
from tests.system.harness.machine import Machine

_FOLDER = "/srv/reed"
_HOME = Home(Path(_FOLDER, "home"))
_CALL_S = 60.0


class RemoteAdmin:
    """A `BrokerAdmin` whose calls are made in the machine."""

    def __init__(self, machine: Machine, settings: Settings) -> None:
        module = "tests.system.harness.broker_admin"
        words = machine.command(
            "python3", "-m", module, _HOME.folder, json.dumps(dataclasses.asdict(settings))
        )
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._waiting: dict[int, Future[Any]] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            future = self._waiting.pop(answer["id"])
            if "error" in answer:
                future.set_exception(BrokerError(answer["error"]))
            else:
                future.set_result(answer["result"])
        for future in self._waiting.values():
            future.set_exception(RuntimeError("the administration in the machine has ended"))

    def _call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401  # whatever JSON it is
        assert self._process.stdin is not None
        future: Future[Any] = Future()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = future
            self._process.stdin.write(
                json.dumps({"id": number, "method": method, "arguments": arguments}) + "\n"
            )
            self._process.stdin.flush()
        return future.result(_CALL_S)

    def prepare(self) -> str:
        """Write what a mosquitto is started with and return the file."""
        return str(self._call("prepare"))

    def grant(self, gateway_id: str) -> None:
        self._call("grant", gateway_id)

    def grant_all(self, gateway_ids: Iterable[str]) -> None:
        self._call("grant_all", list(gateway_ids))

    def deny(self, gateway_id: str) -> None:
        self._call("deny", gateway_id)

    def kick(self, gateway_id: str) -> None:
        self._call("kick", gateway_id)

    def granted(self) -> set[str]:
        return set(self._call("granted"))

    def present(self, unwanted: Collection[str] = ()) -> set[str]:
        return set(self._call("present", sorted(unwanted)))

    def install_crl(self, pem: bytes) -> None:
        self._call("install_crl", base64.b64encode(pem).decode())

    def stats(self) -> Stats:
        return Stats(**self._call("stats"))

    def close(self) -> None:
        self._call("close")


class InMachine:
    """What both brokers have in common; a `Rig` of the conformance suite."""

    obeys_crl = True
    timeout_s = 3.0
    _pid_file: str | Path

    def __init__(self, machine: Machine, settings: Settings) -> None:
        self.machine = machine
        self.authority = Authority(machine.path(_FOLDER))
        self.settings = settings
        self.port, self.ingest_port = settings.port, settings.admin_port
        self.log_file = machine.path("/srv/reed/broker.log")
        self.name = "broker"
        self._process: subprocess.Popen[bytes] | None = None
        self._remote: RemoteAdmin | None = None

    @property
    def admin(self) -> RemoteAdmin:
        assert self._remote is not None
        return self._remote

    def __enter__(self) -> Self:
        self._prepare()
        self._remote = RemoteAdmin(self.machine, self.settings)
        try:
            self._first_start(self._remote)
            self.name = self._remote.stats().version
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._remote is not None:
            self._remote.end()
        self.stop()

    def _prepare(self) -> None:
        raise NotImplementedError

    def _first_start(self, admin: RemoteAdmin) -> None:
        raise NotImplementedError

    def _command(self) -> tuple[list[str], dict[str, str]]:
        raise NotImplementedError

    def _signal(self, name: str) -> None:
        self.machine.run("sh", "-c", f"kill -{name} $(cat {self._pid_file})")

    def start(self) -> None:
        words, environment = self._command()
        with self.log_file.open("ab") as log:
            self._process = self.machine.start(*words, output=log.fileno(), **environment)
        for port in (self.port, self.ingest_port):
            wait_for_port(port, self._process)

    def stop(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._signal("TERM")
            self._process.wait(60)
            self._process = None

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
        self._signal("STOP")
        try:
            yield
        finally:
            self._signal("CONT")
            assert self._process is not None
            self._process.send_signal(signal.SIGCONT)  # nsenter stops when its child does


class MosquittoInMachine(InMachine):
    """mosquitto 2.0.21."""

    _pid_file = _HOME.pid_file("mosquitto")

    def __init__(self, machine: Machine) -> None:
        port, admin_port = free_ports(2)
        super().__init__(
            machine, Settings(port=port, bind="127.0.0.1", admin_port=admin_port, timeout_s=self.timeout_s)
        )
        self._config_file = ""

    def _prepare(self) -> None:
        """Nothing: its administration writes all of it."""

    def _first_start(self, admin: RemoteAdmin) -> None:
        admin.install_crl(self.authority.crl())
        self._config_file = admin.prepare()
        self.start()

    def _command(self) -> tuple[list[str], dict[str, str]]:
        return ["/usr/sbin/mosquitto", "-c", self._config_file], {}


class RabbitInMachine(InMachine):
    """RabbitMQ 4.0.5, configured as `cloud.brokers.rabbitmq.config` says; as one node without neighbours."""

    _pid_file = f"{_FOLDER}/rabbitmq.pid"

    def __init__(self, machine: Machine) -> None:
        port, self._api_port, self._node_port, self._epmd_port = free_ports(4)
        settings = Settings(
            kind="rabbitmq",
            port=port,
            bind="127.0.0.1",
            admin_port=port,
            timeout_s=self.timeout_s,
            api_url=f"https://localhost:{self._api_port}",
            api_password_file=f"{_FOLDER}/api-password",
            crl_dir=f"{_FOLDER}/crls",
        )
        super().__init__(machine, settings)

    def _prepare(self) -> None:
        own = [
            "listeners.tcp = none",
            "management.ssl.ip = 127.0.0.1",
            f"default_user = {self.settings.api_user}",
            "default_pass = of-this-test",
            "log.console = true",
            "log.file = false",
        ]
        text = rabbit_config.config_text(_HOME, self.settings, api_port=self._api_port)
        self.machine.path("/etc/rabbitmq/rabbitmq.conf").write_text(text + "\n".join(own) + "\n")
        advanced = rabbit_config.advanced_text(_HOME, self.settings)
        self.machine.path("/etc/rabbitmq/advanced.config").write_text(advanced)
        self.machine.path("/etc/rabbitmq/enabled_plugins").write_text(rabbit_config.plugins_text())
        self.machine.path(self.settings.crl_dir).mkdir()
        self.machine.path(self.settings.api_password_file).write_text("of-this-test\n")
        self.machine.run("chown", "-R", "rabbitmq", _FOLDER, "/etc/rabbitmq")

    def _first_start(self, admin: RemoteAdmin) -> None:
        admin.install_crl(self.authority.crl())
        self.start()
        admin.grant_all([])

    def start(self) -> None:
        """As for every broker; the API comes last."""
        super().start()
        assert self._process is not None
        wait_for_port(self._api_port, self._process)

    def _command(self) -> tuple[list[str], dict[str, str]]:
        return ["/usr/sbin/rabbitmq-server"], {
            "RABBITMQ_NODENAME": "reed@localhost",
            "RABBITMQ_PID_FILE": self._pid_file,
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
