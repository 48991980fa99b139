"""Which certificates our own servers and clients need."""

from collections.abc import Mapping

from cloud.registry.config import Public

_LOOPBACK = ("localhost", "127.0.0.1", "::1")

CLIENTS = ("ingest", "broker-admin", "revoked-probe")


def hosts_of(public: Public) -> Mapping[str, tuple[str, ...]]:
    """Return the names and addresses of each service; none for those that are clients."""
    hosts = tuple(dict.fromkeys((*public.hosts, *_LOOPBACK)))
    return {"web": hosts, "broker": hosts} | dict.fromkeys(CLIENTS, ())
