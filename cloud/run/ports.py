"""Whether the ports that we need are free, said before anything is started."""

import errno
import os
import socket

from cloud.errors import ServiceError

_PRIVILEGED_BELOW = 1024


def check_free(port: int, bind: str, key: str) -> None:
    """Try to listen where a program of ours will.

    Args:
        port: TCP.
        bind: Address; "" is every one.
        key: What an operator would change, e.g. "[broker] port".

    Raises:
        ServiceError: It is taken, forbidden, or there is no such address here.
    """
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((bind, port))
            probe.listen()
    except OSError as error:
        raise ServiceError(_problem(error, port, bind, key)) from None


def _problem(error: OSError, port: int, bind: str, key: str) -> str:
    where = f"port {port}" + (f" of {bind}" if bind else "")
    if error.errno == errno.EADDRINUSE:
        return f"{where} is in use by another program; end that, or set another {key} in cloud.toml"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{bind} is no address of this machine; see bind beside {key} in cloud.toml"
    if isinstance(error, PermissionError) and port < _PRIVILEGED_BELOW and os.geteuid() != 0:
        return f"{where} is for root only; run as root, or set another {key} in cloud.toml"
    return f"{where}: {error.strerror or error}; see {key} in cloud.toml"
