"""What paho gets from us for one connection: the TLS context on loan, and a log with one line."""

import logging
import socket
import ssl
from typing import Any


class LastProblem(logging.Handler):
    """Paho names the cause of a lost connection (a TLS alert, say) in its log and nowhere else.

    Attributes:
        text: The last line.
        cause: The exception in it, if there was one.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""
        self.cause: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Remember a line."""
        self.text = record.getMessage()
        named = record.args[-1] if isinstance(record.args, tuple) and record.args else None
        self.cause = named if isinstance(named, BaseException) else None


class Lent:
    """The TLS context as paho sees it, until the connection is over.

    paho leaves a socket whose handshake failed to the garbage collector; here it is closed. And one can see
    whether a connection that hangs has come as far as the handshake, where our key is used.
    """

    check_hostname = True

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context: ssl.SSLContext | None = context
        self._socket: ssl.SSLSocket | None = None

    @property
    def is_used(self) -> bool:
        """A TLS connection was begun with it: the broker was found."""
        return self._socket is not None

    def wrap_socket(self, sock: socket.socket, **options: Any) -> ssl.SSLSocket:  # noqa: ANN401  # paho's
        """See ssl.SSLContext."""
        if self._context is None:
            raise OSError("the connection was given up")
        self._socket = self._context.wrap_socket(sock, **options)
        return self._socket

    def give_back(self) -> None:
        """Close the connection, also one that paho has lost sight of, and let go of the context."""
        self._context = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
