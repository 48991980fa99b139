"""Asks our own programs for a sign of life, as their users would.

Whether a program is alive and whether all is well are two questions: nginx is not to be killed because the
application behind it is starting, nor the application because the database is locked.
"""

import contextlib
import http.client
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from cloud.brokers.interface import BrokerAdmin
from cloud.errors import BrokerError

_PATIENCE_S = 5.0
_LINE_BYTES = 1000
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # it is asked there, not bound


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Named(http.client.HTTPSConnection):
    """Connects to an address and wants the certificate of a name."""

    def __init__(self, address: str, port: int, name: str, context: ssl.SSLContext) -> None:
        super().__init__(name, port, timeout=_PATIENCE_S, context=context)
        self._address, self._name, self._context_used = address, name, context

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), self.timeout)
        try:
            self.sock = self._context_used.wrap_socket(plain, server_hostname=self._name)
        except BaseException:
            plain.close()
            raise


@dataclass(frozen=True, slots=True)
class Https:
    """Our nginx.

    Args:
        bind: Where it listens; "" is every address.
        port: TCP.
        name: What its certificate has to be for.
        roots_file: PEM: who may have signed it.
    """

    bind: str
    port: int
    name: str
    roots_file: Path

    def is_alive(self) -> bool:
        """Return whether it shows a good certificate."""
        try:
            with contextlib.closing(self._connection()) as connection:
                connection.connect()
        except OSError:
            return False
        return True

    def health(self) -> str:
        """Return what the application behind it says of itself, in a line; "ok" if all is well."""
        try:
            return _health(self._connection())
        except OSError as error:
            return str(error)

    def _connection(self) -> _Named:
        context = ssl.create_default_context(cafile=str(self.roots_file))
        return _Named(_LOOPBACK.get(self.bind, self.bind), self.port, self.name, context)


def application(path: Path) -> bool:
    """Return whether the web application at a unix socket is alive, well or not."""
    return bool(_health(_Unix(path)))


def broker(admin: BrokerAdmin) -> bool:
    """Return whether the broker answers its administrator."""
    try:
        admin.stats()
    except BrokerError:
        return False
    return True


def _health(connection: http.client.HTTPConnection) -> str:
    """Return the line that the application answers; "" if nobody does."""
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.read(_LINE_BYTES).decode(errors="replace").strip() or f"status {answer.status}"
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
