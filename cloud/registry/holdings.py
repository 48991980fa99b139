"""Which certificates and keys belong to whom."""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from cloud.ca import certificates
from cloud.errors import RefusedError
from cloud.registry.models import Certificate, Gateway

HOLD = "certificateHold"
"""The only reason that can be taken back (RFC 5280 section 5.3.1)."""


def key_fingerprint(csr: x509.CertificateSigningRequest) -> str:
    """Return the SHA-256 of the request's public key (SubjectPublicKeyInfo)."""
    der = csr.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()


def check_key_is_free(key: str, name: str) -> None:
    """Go on if nobody else ever held the key, and its holder has not lost it for good.

    Args:
        key: Fingerprint of the public key.
        name: Who wants it certified.

    Raises:
        RefusedError: 403 "key-held" or "key-revoked".
    """
    held = Certificate.objects.filter(key_fingerprint=key)
    if held.exclude(name=name).exists():
        raise RefusedError("key-held", "another gateway holds this key; let the TPM make a new one")
    if held.filter(revoked_at__isnull=False).exclude(revoked_reason=HOLD).exists():
        raise RefusedError("key-revoked", "this key was revoked; make a new one")


def record(
    chain: list[x509.Certificate], name: str, gateway: Gateway | None, parent: Certificate | None = None
) -> Certificate:
    """Note a certificate that was issued; within the transaction that decides about it."""
    leaf = chain[0]
    der = leaf.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Certificate.objects.create(
        serial=f"{leaf.serial_number:x}",
        issuer=certificates.issuer_id(leaf),
        name=name,
        gateway=gateway,
        parent=parent,
        fingerprint=certificates.fingerprint(leaf),
        key_fingerprint=hashlib.sha256(der).hexdigest(),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def recorded(certificate: x509.Certificate) -> Certificate:
    """Return our record of exactly this certificate of a gateway: a forged one with its serial is another.

    Raises:
        RefusedError: 403 "certificate-unknown", "certificate-service" or "certificate-revoked".
    """
    found = Certificate.objects.select_related("gateway").filter(
        fingerprint=certificates.fingerprint(certificate)
    ).first()  # fmt: skip
    if found is None:
        raise RefusedError("certificate-unknown", "this certificate is not of our making; enrol with a token")
    if found.gateway is None:
        raise RefusedError("certificate-service", "this certificate is no gateway's")
    return found


def check_not_revoked(found: Certificate) -> None:
    """Go on if the certificate was not revoked.

    Raises:
        RefusedError: 403 "certificate-revoked".
    """
    if found.revoked_at is not None:
        raise RefusedError("certificate-revoked", "this certificate was revoked; enrol with a new token")


def claimed_name(certificate: x509.Certificate) -> str:
    """Return whom a certificate speaks of, whoever made it; "" if nobody."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
