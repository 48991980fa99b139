"""The control server: Varlink on a Unix socket, until cancelled.

The socket may be connected to by every local user; what a user may do is decided for each call, by the
credentials that the kernel vouches for.
"""

import asyncio
import contextlib
import importlib
import socket
from collections.abc import Iterator
from pathlib import Path

from gateway.control.config import Config
from gateway.control.daemon import Daemon
from gateway.errors import DriverError


async def serve(config: Config, daemon: Daemon) -> None:
    """Serve local users until cancelled; what that takes is imported when the first one comes.

    Raises:
        DriverError: The socket cannot be made, e.g. as another gateway listens on it.
    """
    with _listening(config.socket) as listener:
        await _first_client(listener)
        # in a thread: importing takes tens of milliseconds, in which no valve would close
        service = await asyncio.to_thread(importlib.import_module, "gateway.control.service")
        await service.serve(config, daemon, listener)


async def _first_client(listener: socket.socket) -> None:
    """Wait until somebody has connected; the connection stays in the socket's queue."""
    loop = asyncio.get_running_loop()
    knocked = asyncio.Event()
    loop.add_reader(listener, knocked.set)
    try:
        await knocked.wait()
    finally:
        loop.remove_reader(listener)


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """Bind the socket, open to all users; remove it afterwards if it is still ours."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listener:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_dead(path)
            listener.bind(str(path))
            path.chmod(0o666)
            listener.listen()
            ours = path.stat().st_ino
        except OSError as error:
            raise DriverError(f"control socket {path}: {error.strerror or error}") from error
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == ours:
                    path.unlink()


def _remove_dead(path: Path) -> None:
    """Remove a socket that a killed gateway left; anything else in its place is not ours to remove."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except FileNotFoundError:
            return
        except BlockingIOError:
            pass  # its queue is full, so somebody listens
    raise DriverError(f"control socket {path}: another gateway is listening on it; stop that one first")
