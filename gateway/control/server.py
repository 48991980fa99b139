"""The control server: Varlink on a Unix socket, until cancelled.

The socket may be connected to by every local user; what a user may do is decided for each call, by the
credentials that the kernel vouches for.
"""

import asyncio
import contextlib
import importlib.resources
import logging
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from gateway import __version__
from gateway.control import varlink
from gateway.control.config import Config
from gateway.control.connection import INTERFACE, Connection, Method, Ongoing
from gateway.control.daemon import Daemon
from gateway.control.gate import Gate
from gateway.control.methods import Methods
from gateway.control.peer import group_id
from gateway.errors import DriverError

log = logging.getLogger(__name__)

_SERVICE_DESCRIPTION = """\
# Every Varlink service tells about itself this way.
interface org.varlink.service

# What this service is, and which interfaces it has.
method GetInfo() -> (
  vendor: string,
  product: string,
  version: string,
  url: string,
  interfaces: []string
)

# The definition of one of those interfaces.
method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)
error MethodNotFound (method: string)
error MethodNotImplemented (method: string)
error InvalidParameter (parameter: string)
error PermissionDenied ()
error ExpectedMore ()
"""


class _Description(msgspec.Struct):
    interface: str


def interface_description() -> str:
    """Return the definition of org.reed.Gateway."""
    file = importlib.resources.files("gateway.control").joinpath(f"{INTERFACE}.varlink")
    return file.read_text(encoding="utf-8")


async def serve(config: Config, daemon: Daemon) -> None:
    """Serve local users until cancelled.

    Raises:
        DriverError: The socket cannot be made, e.g. as another gateway listens on it.
    """
    group = group_id(config.group)
    if group is None:
        log.warning(
            "control group %s does not exist; only root and the gateway's user may actuate", config.group
        )
    methods = {**Methods(daemon, group, config.group).table(), **_service_methods()}
    gate = Gate(config.max_clients, config.max_clients_per_user)
    clients: set[Connection] = set()
    with _listening(config.socket) as listener:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(
            lambda: Connection(methods, gate, clients, config.idle_s), sock=listener
        )
        try:
            await server.serve_forever()
        finally:
            server.close()
            for client in tuple(clients):
                client.close()


def _service_methods() -> Mapping[str, Method]:
    descriptions = {INTERFACE: interface_description(), varlink.SERVICE: _SERVICE_DESCRIPTION}

    def get_info(ongoing: Ongoing) -> None:
        ongoing.reply(
            {
                "vendor": "reed",
                "product": "reed gateway",
                "version": __version__,
                "url": "",
                "interfaces": sorted(descriptions),
            }
        )

    def get_interface_description(ongoing: Ongoing) -> None:
        wanted = varlink.parse_parameters(ongoing.call, _Description).interface
        if wanted in descriptions:
            ongoing.reply({"description": descriptions[wanted]})
        else:
            ongoing.fail(varlink.INTERFACE_NOT_FOUND, interface=wanted)

    return {
        f"{varlink.SERVICE}.GetInfo": get_info,
        f"{varlink.SERVICE}.GetInterfaceDescription": get_interface_description,
    }


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[socket.socket]:
    """Bind the socket, open to all users; remove it afterwards if it is still ours."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listener:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _remove_dead(path)
            listener.bind(str(path))
            path.chmod(0o666)
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
