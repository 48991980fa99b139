"""Certificates that others have made: nothing in them needs to be as it should be.

Importing this costs 10 MiB (cryptography): only where there are certificates to look into.
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InvalidSignature,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What looking into a certificate may raise; it is taken apart only where it is looked into."""


def is_readable(certificate: x509.Certificate) -> bool:
    """Return True if names and key can be had."""
    try:
        names = (certificate.subject, certificate.issuer)
        return bool(names) and certificate.public_key() is not None
    except UNREADABLE:
        return False


def has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Return True if the key of `issuer` has signed the certificate; it need be no authority."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except UNREADABLE:
        return False
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Return True if it says that it may issue others."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except UNREADABLE:
        return False
