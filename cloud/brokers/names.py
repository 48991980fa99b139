"""Who is who on a broker: gateways by their id, our own services by reserved names."""

import re

from cloud.errors import BrokerError

ADMIN = "broker-admin"
"""Common name of the certificate that administers mosquitto."""

INGEST = "ingest"
"""Common name of the certificate that reads what gateways say and sends them commands."""

PROBE = "revoked-probe"
"""Common name of the certificate that every CRL names, to see that CRLs are obeyed."""

RESERVED = frozenset({ADMIN, INGEST, PROBE, "broker", "web"})
"""No gateway may have one of these ids: its certificate would carry a service's name."""

_GATEWAY_ID = re.compile(r"[a-z0-9-]{1,63}")


def checked(gateway_id: str) -> str:
    """Return the id if a gateway may have it.

    Raises:
        BrokerError: It is not of `[a-z0-9-]{1,63}`, or it is the name of one of our services.
    """
    if _GATEWAY_ID.fullmatch(gateway_id) is None:
        raise BrokerError(f"{gateway_id!r} is no gateway id; use 1 to 63 of a-z, 0-9 and -")
    if gateway_id in RESERVED:
        raise BrokerError(f"{gateway_id!r} is the name of a service; give the gateway another id")
    return gateway_id
