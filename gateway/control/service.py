"""What the control server does for its clients: the methods, and the connections that call them.

Imported when the first client comes: with msgspec it takes 2 MiB, and many a gateway never has a client.
"""

import asyncio
import logging
import socket
from collections.abc import Mapping
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
from gateway.control.update_methods import UpdateMethods

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
    return Path(__file__).with_name(f"{INTERFACE}.varlink").read_text(encoding="utf-8")


async def serve(config: Config, daemon: Daemon, listener: socket.socket) -> None:
    """Serve whoever connects to the listening socket, until cancelled."""
    # in a thread: the name service may ask the network
    group = await asyncio.to_thread(group_id, config.group)
    if group is None:
        log.warning(
            "control group %s does not exist; only root and the gateway's user may actuate", config.group
        )
    own = {**Methods(daemon, group, config.group).table(), **UpdateMethods(daemon).table()}
    methods = {**own, **_service_methods()}
    gate = Gate(config.max_clients, config.max_clients_per_user)
    clients: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_unix_server(
        lambda: Connection(methods, gate, clients, config.idle_s), sock=listener
    )
    try:
        # not serve_forever: cancelled, it waits from Python 3.12 on until the last client has left
        await loop.create_future()
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
