"""Tells systemd how we are, as in sd_notify(3); does nothing where nobody listens."""

import contextlib
import os
import socket
from collections.abc import Mapping


class Notifier:
    """Sends state datagrams; never blocks and never fails."""

    def __init__(self, address: str = "") -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Notifier":
        """Return the notifier for `NOTIFY_SOCKET`."""
        return cls(environment.get("NOTIFY_SOCKET", ""))

    def ready(self, status: str) -> None:
        """Everything answers."""
        self._send("READY=1", f"STATUS={status}")
        self._status = status

    def status(self, status: str) -> None:
        """One line for `systemctl status`; sent when it differs from the last one."""
        if status != self._status:
            self._send(f"STATUS={status}")
            self._status = status

    def stopping(self) -> None:
        """We end on purpose."""
        self._send("STOPPING=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        text = "\n".join(line.replace("\n", " ") for line in lines)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out, contextlib.suppress(OSError):
            out.setblocking(False)
            out.sendto(text.encode(), self._address)
