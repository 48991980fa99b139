"""Builds and reads certificate revocation lists. Source: RFC 5280 section 5."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.ca.authority import Revoked

_BEGIN, _END = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----\n"


@dataclass(frozen=True, slots=True)
class Window:
    """From when until when a list may be used, and its number."""

    begin: datetime
    end: datetime
    number: int


def build(
    signer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey], revoked: Iterable[Revoked], window: Window
) -> bytes:
    """Return a list (PEM) signed by an authority."""
    parent, key = signer
    known = parent.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    # given at once: the builder copies its list for each entry that is added
    builder = x509.CertificateRevocationListBuilder(revoked_certificates=[_entry(each) for each in revoked])
    signed = (
        builder.issuer_name(parent.subject)
        .last_update(window.begin)
        .next_update(window.end)
        .add_extension(x509.CRLNumber(window.number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known), critical=False)
        .sign(key, hashes.SHA256())
    )
    return signed.public_bytes(serialization.Encoding.PEM)


def _entry(revoked: Revoked) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(revoked.serial).revocation_date(revoked.at)
    if revoked.reason is not x509.ReasonFlags.unspecified:  # RFC 5280 5.3.1: leave it out instead
        builder = builder.add_extension(x509.CRLReason(revoked.reason), critical=False)
    return builder.build()


def read(pem: bytes) -> list[x509.CertificateRevocationList]:
    """Return all lists of a PEM file.

    Raises:
        ValueError: One of them is damaged.
    """
    blocks = (_BEGIN + each.partition(_END)[0] + _END for each in pem.split(_BEGIN)[1:])
    return [x509.load_pem_x509_crl(block) for block in blocks]


def signer_id(crl: x509.CertificateRevocationList) -> str:
    """Return the key identifier of who signed it, in hexadecimal; "" if it does not say."""
    try:
        value = crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return ""
    return (value.key_identifier or b"").hex()


def number(crl: x509.CertificateRevocationList) -> int:
    """Return its number; 0 if it has none."""
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return 0
