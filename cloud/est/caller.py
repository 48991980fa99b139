"""Who calls: the address; a one-time token, a recovery, or a client certificate that nginx verified."""

import binascii
import re
from base64 import b64decode
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from cryptography import x509
from django.http import HttpRequest

from cloud.errors import RefusedError
from cloud.est import wire
from cloud.registry import services

_GATEWAY_ID: Final = re.compile(r"[a-z0-9-]{1,63}")
_RECOVERY: Final = re.compile(r"[0-9a-f]{32}")
_NOBODY: Final = "unreadable"
"""What the audit trail calls who has not said who he is."""
_SECRET: Final = re.compile(r"[!-~]{1,200}")


class Token(NamedTuple):
    """What HTTP Basic said; not yet believed."""

    gateway_id: str
    secret: str


def peer(request: HttpRequest) -> str:
    """Return the address of the client, as nginx saw it."""
    return request.headers.get("X-Reed-Peer", "")


def token(request: HttpRequest) -> Token:
    """Return the gateway's id and the secret.

    Raises:
        RefusedError: There are none, or they have not even the form.
    """
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise RefusedError("token-missing", "give the gateway's id and the one-time secret (HTTP Basic)", 401)
    with services.watched("enrol", _NOBODY, peer(request)):
        return _read(value)


def _read(value: str) -> Token:
    try:
        gateway_id, _, secret = b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise RefusedError(
            "token-malformed", "the id and the secret are not in base64 (HTTP Basic)", 401
        ) from None
    if not _GATEWAY_ID.fullmatch(gateway_id) or not _SECRET.fullmatch(secret):
        raise RefusedError("token-malformed", "this is no token of ours; is it complete?", 401)
    return Token(gateway_id, secret)


def recovery(request: HttpRequest) -> str:
    """Return the id of the recovery that the caller speaks of; "" if he does not.

    Raises:
        RefusedError: It is no id.
    """
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "reed-recovery":
        return ""
    if not _RECOVERY.fullmatch(value):
        raise RefusedError("recovery-unknown", "this is no recovery of ours; begin again")
    return value


def has_only_certificate(request: HttpRequest) -> bool:
    """Return whether nothing but a client certificate says who calls."""
    is_verified = request.headers.get("X-Reed-Client-Verify") == "SUCCESS"
    return is_verified and "Authorization" not in request.headers


def certificate(request: HttpRequest) -> x509.Certificate:
    """Return the client's certificate, which nginx has held against our chain and CRL.

    Raises:
        RefusedError: It has shown none.
    """
    if request.headers.get("X-Reed-Client-Verify") != "SUCCESS":
        raise RefusedError("certificate-missing", "connect with the gateway's certificate to do this")
    pem = unquote_to_bytes(request.headers.get("X-Reed-Client-Cert", ""))
    return wire.certificate_of(pem, "the client certificate")
