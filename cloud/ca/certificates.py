"""Builds certificates: root, intermediate, leaf. Source: RFC 5280 section 4."""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloud.ca.profile import Profile

ROOT_DAYS = 20 * 365.25
INTERMEDIATE_DAYS = 5 * 365.25
_EARLIER = timedelta(hours=1)


def pem(*certificates: x509.Certificate) -> bytes:
    """Return them one after the other."""
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of its DER in hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return the key as SubjectPublicKeyInfo (DER)."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(certificate: x509.Certificate) -> str:
    """Return the subject key identifier in hexadecimal: the name under which we know an authority."""
    return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest.hex()


def issuer_id(certificate: x509.Certificate) -> str:
    """Return the key identifier of who signed it, in hexadecimal; "" if it does not say."""
    try:
        value = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return ""
    return (value.key_identifier or b"").hex()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def root(key: ec.EllipticCurvePrivateKey, name: str, now: datetime, days: float) -> x509.Certificate:
    """Return a certificate that vouches for itself."""
    builder = _authority(key.public_key(), name, now, now + timedelta(days=days), path_length=1)
    return builder.issuer_name(_name(name)).sign(key, hashes.SHA256())


def intermediate(
    public_key: ec.EllipticCurvePublicKey,
    name: str,
    signer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
    now: datetime,
    days: float,
) -> x509.Certificate:
    """Return an authority that may sign leaves only, for no longer than its root lives."""
    parent, key = signer
    end = min(now + timedelta(days=days), parent.not_valid_after_utc)
    builder = _authority(public_key, name, now, end, path_length=0).issuer_name(parent.subject)
    return builder.add_extension(_issued_by(parent), critical=False).sign(key, hashes.SHA256())


def leaf(
    public_key: ec.EllipticCurvePublicKey,
    profile: Profile,
    signer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
) -> x509.Certificate:
    """Return a certificate for a gateway or a service."""
    parent, key = signer
    end = min(profile.not_after, parent.not_valid_after_utc)
    builder = _base(public_key, profile.name, profile.not_before, end).issuer_name(parent.subject)
    return (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([profile.usage]), critical=False)
        .add_extension(profile.alternative_names, critical=False)
        .add_extension(_issued_by(parent), critical=False)
        .sign(key, hashes.SHA256())
    )


def _authority(
    public_key: ec.EllipticCurvePublicKey, name: str, now: datetime, end: datetime, *, path_length: int
) -> x509.CertificateBuilder:
    return (
        _base(public_key, name, now - _EARLIER, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
    )


def _base(
    public_key: ec.EllipticCurvePublicKey, name: str, begin: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _issued_by(parent: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    found = parent.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
