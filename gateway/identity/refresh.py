"""What a gateway hears of its cloud with each renewal: new roots, a broker that moved, new command keys."""

import ssl
from collections.abc import Iterable
from contextlib import suppress

from gateway.errors import IdentityError
from gateway.identity.est import EstClient
from gateway.identity.records import Cloud
from gateway.identity.slots import Slots
from gateway.identity.trust import signs_itself

_END = b"-----END CERTIFICATE-----"


def roots_of(authority: Iterable[bytes]) -> bytes:
    """Return the roots among the certificates (DER) of an authority as PEM; intermediates are none."""
    return "".join(ssl.DER_cert_to_PEM_cert(one) for one in authority if signs_itself(one)).encode()


def take_roots(slots: Slots, url: str, roots_pem: bytes) -> None:
    """Trust these roots from now on, as the cloud says over a connection that the former ones vouch for.

    A new root is simply added. One that the cloud does not list is given up when its servers have shown that
    they do without it: that of the web server may be another authority's (`enrol --ca-file`).

    Raises:
        IdentityError: The disk does not take them.
    """
    kept = slots.ca_file.read_bytes()
    known, told = _blocks(kept), _blocks(roots_pem)
    if not told or told == known:
        return
    if not known - told or _does_with(url, roots_pem):
        slots.save_ca(roots_pem)
    elif told - known:
        slots.save_ca(roots_pem + kept)


def _does_with(url: str, roots_pem: bytes) -> bool:
    """Return True if these roots vouch for the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=roots_pem.decode("ascii"))
    try:
        EstClient(url, context).cacerts()
    except IdentityError:
        return False
    return True


def take_parameters(slots: Slots, cloud: Cloud, client: EstClient) -> None:
    """Keep where the broker is and who commands, as the cloud says; what it does not say stays as it is."""
    with suppress(IdentityError):
        told = client.parameters()
        if told.gateway != cloud.gateway:
            return
        heard = Cloud(cloud.gateway, cloud.est_url, told.host, told.port, told.attestation)
        if heard != cloud:
            slots.save_cloud(heard)
        if told.command_keys != _content(slots):
            slots.save_command_keys(told.command_keys)


def _blocks(pem: bytes) -> set[bytes]:
    """Return the certificates of a PEM file, in a form that can be compared."""
    return {b"".join(block.split()) for block in pem.split(_END) if block.strip()}


def _content(slots: Slots) -> bytes:
    try:
        return slots.command_key_file.read_bytes()
    except OSError:
        return b""
