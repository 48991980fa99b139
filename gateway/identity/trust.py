"""Whom to trust at first: the cloud whose root certificate the token names.

A first connection, whose other end may be anybody, is asked for nothing but certificates, which are public,
and told nothing. The root that the token's pin names is then the only one for a second connection; name and
certificate of the server count from there on.
"""

import base64
import hashlib
import ssl

from gateway.errors import EnrolmentError
from gateway.identity import tls
from gateway.identity.est import EstClient


def fingerprint(certificate_der: bytes) -> str:
    """Return what a token carries as its pin: SHA-256 in base64url."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate_der).digest()).decode().rstrip("=")


def pinned_root(url: str, pin: str, timeout_s: float) -> bytes:
    """Return the root that the pin names as PEM, fetched from whoever answers at the address.

    Raises:
        EnrolmentError: Whoever answers has no such root.
        UnreachableError: Nobody answers, or not as an enrolment server does.
    """
    anybody = tls.client_context(None, None, tcti="")
    found = EstClient(url, anybody, timeout_s).cacerts()
    for certificate in found:
        if fingerprint(certificate) == pin:
            return ssl.DER_cert_to_PEM_cert(certificate).encode()
    raise EnrolmentError(
        f"whoever answers at {url} is not the cloud that this token is from (another root certificate); "
        "check the address, and who sits in between. The token was not sent"
    )


def signs_itself(certificate_der: bytes) -> bool:
    """Return True for a root: an authority whose certificate is signed by its own key."""
    from cryptography import x509  # noqa: PLC0415  10 MiB

    from gateway.identity.foreign import UNREADABLE, has_signed, is_authority  # noqa: PLC0415

    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
    except UNREADABLE:
        return False
    return has_signed(certificate, certificate) and is_authority(certificate)
