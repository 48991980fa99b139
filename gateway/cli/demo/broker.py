"""A real mosquitto on a loopback port for tests and benchmarks: mutual TLS, each gateway its own topics only.

The demo's broker is the one that `reed-cloud run` administers.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from gateway.cli.demo.devca import CLOUD_NAME, DevCa
from gateway.errors import LinkError

_START_S = 5.0
_POLL_S = 0.01

ACL = f"""\
# %u is the common name of the client's certificate, which is the gateway id.
pattern write reed/v1/%u/up/#
pattern read reed/v1/%u/cmd/#

user {CLOUD_NAME}
topic read reed/v1/+/up/#
topic write reed/v1/+/cmd/#
"""


def find_mosquitto() -> str | None:
    """Return the program's path; Debian keeps it in /usr/sbin, which a user's PATH lacks."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def config_text(ca: DevCa, acl_file: Path, port: int) -> str:
    """Return the configuration of mosquitto 2.0."""
    lines = [
        f"listener {port} 127.0.0.1",
        f"cafile {ca.ca_file}",
        f"certfile {ca.cert_file('broker')}",
        f"keyfile {ca.key_file('broker')}",
        "require_certificate true",
        "use_identity_as_username true",
        f"acl_file {acl_file}",
        "allow_anonymous false",
        "persistence false",
        "set_tcp_nodelay true",
        "max_inflight_messages 100",
        "max_queued_messages 0",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
    ]
    if os.geteuid() == 0:
        lines.append("user root")  # else it drops to a user that may not read the keys
    return "\n".join(lines) + "\n"


class Broker:
    """One mosquitto process; `port` stays the same over `stop` and `start`.

    Args:
        port: On loopback; a free one by default.
        extra: Further lines of its configuration.
    """

    def __init__(self, ca: DevCa, folder: Path, port: int | None = None, extra: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.host = "127.0.0.1"
        self.port = port or free_port()
        self.log_file = folder / "mosquitto.log"
        self._config_file = folder / "mosquitto.conf"
        self._acl_file = folder / "mosquitto.acl"
        self._acl_file.write_text(ACL)
        self._acl_file.chmod(0o600)
        self._config_file.write_text(config_text(ca, self._acl_file, self.port) + extra)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id. Raises LinkError if it does not run."""
        if self._process is None:
            raise LinkError("mosquitto does not run")
        return self._process.pid

    def start(self) -> None:
        """Start it and return when it accepts connections. Raises LinkError."""
        program = find_mosquitto()
        if program is None:
            raise LinkError("mosquitto is missing; install it with: apt install mosquitto")
        command = [program, "-c", str(self._config_file)]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own arguments only
                command, stdout=log, stderr=log, start_new_session=True
            )
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 1):
                return
            time.sleep(_POLL_S)
        self.stop()
        raise LinkError(f"mosquitto did not start; {self.log_file} says why")

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it, by default without any farewell to its clients."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(how)
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing is answered."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End `pause`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
