"""Certificates of our own servers and clients: broker, web, ingest, broker-admin, revoked-probe."""

from collections.abc import Mapping
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.db import transaction

from cloud.ca import certificates
from cloud.ca.files import PUBLIC, write
from cloud.ca.folder import signed_by
from cloud.ca.profile import Profile, service_profile
from cloud.registry import audit, holdings
from cloud.registry.models import Certificate
from cloud.registry.parts import parts

PROBE = "revoked-probe"
"""Its certificate is revoked as soon as it is made: with it we try out that a broker follows the CRL."""

_SHARE_LEFT = 1 / 3


def ensure_services(hosts_of: Mapping[str, tuple[str, ...]], *, actor: str) -> list[str]:
    """Make or renew what is missing, damaged, under a former intermediate, or has a third of its life left.

    Args:
        hosts_of: Name of the service to the names and addresses of a server; () is a client.
        actor: Who asks.

    Returns:
        The names of those that were made anew; who uses them has to load them again. After a new
        "revoked-probe" the CRL has to be published.

    Raises:
        SignerError: The authority cannot sign.
    """
    parts().home.services.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = []
    for name, hosts in hosts_of.items():
        profile = service_profile(name, tuple(hosts), parts().policy, parts().now())
        if not _is_good(name, profile):
            _make(profile, actor)
            made.append(name)
    return made


def _make(profile: Profile, actor: str) -> None:
    """Issue, record, write the key and then the certificate: a pair that does not match is made anew."""
    home, name = parts().home, profile.name
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    chain = parts().issuer.issue(csr, profile)
    with transaction.atomic():
        row = holdings.record(chain, name, None)
        if name == PROBE:
            row.revoked_at, row.revoked_reason = parts().now(), x509.ReasonFlags.cessation_of_operation.value
            row.save()
        audit.record("service", name, actor=actor, serial=row.serial, until=row.not_after.isoformat())
    unencrypted = serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    write(home.key_file(name), key.private_bytes(serialization.Encoding.PEM, pkcs8, unencrypted))
    write(home.cert_file(name), certificates.pem(*chain), PUBLIC)


def _is_good(name: str, profile: Profile) -> bool:
    home = parts().home
    try:
        leaf = x509.load_pem_x509_certificates(home.cert_file(name).read_bytes())[0]
        key = serialization.load_pem_private_key(home.key_file(name).read_bytes(), None)
        hosts = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, IndexError, x509.ExtensionNotFound):
        return False
    if key.public_key() != leaf.public_key() or hosts != profile.alternative_names:
        return False
    return _is_young(leaf) and _is_of_this_authority(leaf) and _is_recorded(leaf, name)


def _is_young(leaf: x509.Certificate) -> bool:
    life: timedelta = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    return parts().now() < leaf.not_valid_after_utc - life * _SHARE_LEFT


def _is_of_this_authority(leaf: x509.Certificate) -> bool:
    own = parts()
    if own.ca.issuer == "est":  # it has as many as it likes
        return any(signed_by(leaf, each) for each in (*own.issuer.intermediates(), *own.issuer.roots()))
    return signed_by(leaf, own.issuer.intermediates()[0])


def _is_recorded(leaf: x509.Certificate, name: str) -> bool:
    """Return whether the database knows it: otherwise the probe could not be on the list."""
    return Certificate.objects.filter(fingerprint=certificates.fingerprint(leaf), name=name).exists()
