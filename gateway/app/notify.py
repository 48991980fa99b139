"""Tells systemd how the daemon is, as in sd_notify(3); does nothing where nobody listens."""

import os
import socket
import time
from collections.abc import Mapping

_MAY_GET_LOST = ("STATUS=", "WATCHDOG=")


class Notifier:
    """Sends state datagrams; never blocks and never fails: protection does not depend on being heard.

    What a busy listener did not take goes with the next datagram; only a status or a ping may get lost.
    """

    def __init__(self, address: str = "") -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        self._status = ""
        self._unsent: list[str] = []
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Notifier":
        """Return the notifier for `NOTIFY_SOCKET`."""
        return cls(environment.get("NOTIFY_SOCKET", ""))

    def ready(self, status: str) -> None:
        """The core runs: leaks are acted upon."""
        self._send("READY=1", f"STATUS={status}")
        self._status = status

    def status(self, status: str) -> None:
        """One line for `systemctl status`; sent when it differs from the last one."""
        if status != self._status:
            self._send(f"STATUS={status}")
            self._status = status

    def watchdog(self) -> None:
        """The core is on time."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it. Type=notify-reload wants the time, in microseconds."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The daemon ends on purpose."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, *lines: str) -> None:
        if self._socket is None:
            return
        states = [*self._unsent, *(line.replace("\n", " ") for line in lines)]
        try:
            self._socket.sendto("\n".join(states).encode(), self._address)
            self._unsent = []
        except BlockingIOError:
            self._unsent = [line for line in states if not line.startswith(_MAY_GET_LOST)]
        except OSError:
            self._unsent = []


def watchdog_interval_s(environment: Mapping[str, str] = os.environ, pid: int | None = None) -> float | None:
    """Return how often to ping, a third of what systemd allows; None if it does not watch this process."""
    try:
        limit_us = int(environment.get("WATCHDOG_USEC", "0"))
        watched = int(environment.get("WATCHDOG_PID", "0")) or pid or os.getpid()
    except ValueError:
        return None
    if limit_us <= 0 or watched != (pid or os.getpid()):
        return None
    return limit_us / 3_000_000
