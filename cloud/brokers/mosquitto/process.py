"""The running mosquitto of one home: signals to it and nobody else, its version, its open connections."""

import os
import signal
import subprocess
from pathlib import Path

from cloud.brokers.mosquitto.config import config_file, find_mosquitto
from cloud.errors import BrokerError, SetupError
from cloud.home import Home

_ESTABLISHED = "01"
_VERSION_S = 5.0


def reload(home: Home) -> bool:
    """Have it read its CRL and certificates again; false if the pid file names no mosquitto of ours.

    A process id in a file may be another's by now, so the process must be a mosquitto with our configuration,
    and stays the same one between look and signal (pidfd_open(2)). Raises BrokerError.
    """
    try:
        pid = int(home.pid_file("mosquitto").read_text())
        descriptor = os.pidfd_open(pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    except (OSError, ValueError) as error:
        raise BrokerError(f"{home.pid_file('mosquitto')} does not name a process: {error}") from error
    try:
        if not _is_ours(pid, home):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGHUP)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise BrokerError(f"mosquitto is of another user and cannot be told to reload: {error}") from error
    finally:
        os.close(descriptor)
    return True


def _is_ours(pid: int, home: Home) -> bool:
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        folder = Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return False
    wanted = config_file(home).resolve()
    return name == "mosquitto" and any((folder / word).resolve() == wanted for word in words if word)


def version() -> str:
    """Return how the installed program names itself: "mosquitto version 2.0.21". Raises BrokerError."""
    try:
        said = subprocess.run(  # noqa: S603  # our own arguments only
            [str(find_mosquitto()), "-h"], capture_output=True, text=True, check=False, timeout=_VERSION_S
        )
    except (OSError, SetupError, subprocess.TimeoutExpired) as error:
        raise BrokerError(f"mosquitto cannot be asked for its version: {error}") from error
    return said.stdout.partition("\n")[0].strip()


def connections(port: int) -> int:
    """Return how many TCP connections to this port of ours are open.

    From the kernel (proc(5)): mosquitto tells its own count only through retained messages, which are off.
    """
    return sum(_connections(Path("/proc/net") / table, port) for table in ("tcp", "tcp6"))


def _connections(table: Path, port: int) -> int:
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return 0
    local, wanted = ":%04X" % port, _ESTABLISHED  # noqa: UP031  # as the kernel prints it
    fields = (line.split(maxsplit=4) for line in lines)
    return sum(1 for each in fields if each[1].endswith(local) and each[3] == wanted)
