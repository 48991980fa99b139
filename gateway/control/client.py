"""The other end of the control socket, for command-line tools: blocking, standard library only."""

import json
import select
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gateway.errors import ControlError

INTERFACE = "org.reed.Gateway"
CONNECT_TIMEOUT_S = 5.0
MAX_FRAME_BYTES = 16 * 1024 * 1024

NOT_REACHED = "NotReached"
"""ControlError.name when nobody answers, or stops answering."""

_EXIT_STATUS = {
    f"{INTERFACE}.Failed": 1,
    "org.varlink.service.InvalidParameter": 64,
    f"{INTERFACE}.NotFound": 66,
    f"{INTERFACE}.Refused": 75,
    f"{INTERFACE}.NotPermitted": 77,
}
_PROTOCOL = 76

Parameters = dict[str, Any]
"""A JSON object as it came; its shape is in org.reed.Gateway.varlink."""


class Client:
    """A connection to the gateway; a context manager.

    Raises:
        ControlError: From every method, when the gateway is not there, refuses or breaks the protocol.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._buffer = bytearray()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(CONNECT_TIMEOUT_S)
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise _not_reached(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a running stream ends."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor to wait on for the next reply of a stream."""
        return self._socket.fileno()

    def ready(self, timeout_s: float) -> bool:
        """Return True once a reply, or the end of the connection, can be read without waiting."""
        return 0 in self._buffer or bool(select.select([self._socket], [], [], max(0.0, timeout_s))[0])

    def call(self, method: str, *, timeout_s: float | None = 10.0, **parameters: object) -> Parameters:
        """Call a method of org.reed.Gateway and return its one reply."""
        self._send(method, parameters, more=False)
        return _parameters(self._receive(timeout_s))

    def stream(
        self, method: str, *, timeout_s: float | None = None, **parameters: object
    ) -> Iterator[Parameters]:
        """Call a method with `more` and yield each reply; `timeout_s` is for each of them."""
        self._send(method, parameters, more=True)
        while True:
            reply = self._receive(timeout_s)
            yield _parameters(reply)
            if not reply.get("continues"):
                return

    def _send(self, method: str, parameters: Mapping[str, object], *, more: bool) -> None:
        given = {name: value for name, value in parameters.items() if value is not None}
        call = {"method": f"{INTERFACE}.{method}", "parameters": given, **({"more": True} if more else {})}
        try:
            self._socket.settimeout(CONNECT_TIMEOUT_S)
            self._socket.sendall(json.dumps(call).encode() + b"\0")
        except OSError as error:
            # It may have said why before it closed (Busy); reading will tell.
            if not isinstance(error, BrokenPipeError):
                raise _not_reached(self._path, error) from error

    def _receive(self, timeout_s: float | None) -> Parameters:
        try:
            reply = json.loads(self._frame(timeout_s))
        except OSError as error:
            raise _not_reached(self._path, error) from error
        except ValueError as error:
            raise ControlError("Malformed", f"the answer is no JSON: {error}", _PROTOCOL) from error
        if not isinstance(reply, dict):
            raise ControlError("Malformed", "the answer is no JSON object", _PROTOCOL)
        return reply

    def _frame(self, timeout_s: float | None) -> bytes:
        self._socket.settimeout(timeout_s)
        searched = 0
        while (end := self._buffer.find(0, searched)) < 0:
            searched = len(self._buffer)
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("it closed the connection")
            self._buffer += data
            if len(self._buffer) > MAX_FRAME_BYTES:
                raise ControlError("Malformed", f"the answer is over {MAX_FRAME_BYTES} bytes", _PROTOCOL)
        frame = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return frame


def _parameters(reply: Parameters) -> Parameters:
    parameters = reply.get("parameters") or {}
    if (error := reply.get("error")) is None:
        return dict(parameters)
    name = str(error)
    message = parameters.get("message") or f"{name}: {', '.join(map(str, parameters.values()))}"
    raise ControlError(name, str(message), _EXIT_STATUS.get(name, 69))


def _not_reached(path: Path, error: OSError) -> ControlError:
    match error:
        case FileNotFoundError() | ConnectionRefusedError():
            advice = "is the gateway running? try: systemctl status reed-gateway"
        case TimeoutError():
            advice = "the gateway did not answer in time; see its log"
        case PermissionError():
            advice = "this user may not connect to it"
        case _:
            advice = str(error.strerror or error)
    return ControlError(NOT_REACHED, f"no answer on {path}: {advice}")
