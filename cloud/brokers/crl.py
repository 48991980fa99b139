"""Is this a set of CRLs that a broker may be given? A wrong one shuts everybody out, or lets everybody in."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import NameOID

from cloud.brokers.names import PROBE
from cloud.errors import BrokerError
from cloud.home import Home

_END = b"-----END X509 CRL-----"
_BEGIN = b"-----BEGIN X509 CRL-----"


def parse(pem: bytes) -> list[x509.CertificateRevocationList]:
    """Read every CRL of a PEM file. Raises BrokerError."""
    blocks = [_BEGIN + part.split(_BEGIN, 1)[1] + _END for part in pem.split(_END) if _BEGIN in part]
    if not blocks or pem.count(_BEGIN) != len(blocks) or pem.count(_END) != len(blocks):
        raise BrokerError("this is no CRL in PEM, or only a part of one; publish it again")
    try:
        return [x509.load_pem_x509_crl(block) for block in blocks]
    except ValueError as error:
        raise BrokerError(f"a CRL cannot be read ({error}); publish it again") from error


def parse_or_none(pem: bytes) -> list[x509.CertificateRevocationList]:
    """Read every CRL of a PEM file; none if it is damaged."""
    try:
        return parse(pem)
    except BrokerError:
        return []


def check(crls: Sequence[x509.CertificateRevocationList], chain_pem: bytes, now: datetime) -> None:
    """See that each is ours and holds now, and that no authority of ours is without.

    A broker that verifies against an authority without CRL, or with an expired one, refuses everybody.

    Args:
        crls: As parsed.
        chain_pem: The certificates of our roots and intermediates.
        now: Aware.

    Raises:
        BrokerError: Which one is wrong, and why.
    """
    authorities = x509.load_pem_x509_certificates(chain_pem)
    for crl in crls:
        _check_origin(crl, authorities)
        _check_time(crl, now)
    covered = {crl.issuer for crl in crls}
    for authority in _issuing(authorities, now):
        if authority.subject not in covered:
            raise BrokerError(
                f"there is no CRL of {_name(authority.subject)}; publish one for each authority"
            )


def _check_origin(crl: x509.CertificateRevocationList, authorities: Sequence[x509.Certificate]) -> None:
    named = [each for each in authorities if each.subject == crl.issuer]
    if not named:
        raise BrokerError(f"the CRL of {_name(crl.issuer)} is of no authority of ours")
    if not any(_is_signed_by(crl, authority) for authority in named):
        raise BrokerError(f"the CRL of {_name(crl.issuer)} has a wrong signature")


def _is_signed_by(crl: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(authority.public_key())  # type: ignore[arg-type]  # TypeError below
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _check_time(crl: x509.CertificateRevocationList, now: datetime) -> None:
    if crl.last_update_utc > now:
        raise BrokerError(
            f"the CRL of {_name(crl.issuer)} holds only from {crl.last_update_utc} on; clock wrong?"
        )
    if crl.next_update_utc is None or crl.next_update_utc <= now:
        raise BrokerError(f"the CRL of {_name(crl.issuer)} expired {crl.next_update_utc}; publish a new one")


def _issuing(authorities: Sequence[x509.Certificate], now: datetime) -> list[x509.Certificate]:
    """Return those that may issue certificates for clients: not expired, and above no other authority."""
    above = {each.issuer for each in authorities if each.issuer != each.subject}
    return [each for each in authorities if each.subject not in above and each.not_valid_after_utc > now]


def is_revoked(crls: Sequence[x509.CertificateRevocationList], certificate: x509.Certificate) -> bool:
    """Tell whether a CRL of the certificate's issuer names it."""
    return any(
        crl.issuer == certificate.issuer
        and crl.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None
        for crl in crls
    )


def is_older(
    crls: Sequence[x509.CertificateRevocationList],
    former: Sequence[x509.CertificateRevocationList],
    now: datetime,
) -> bool:
    """Tell whether one of them was made before the former of the same authority: somebody was faster.

    A former one from the future is none: the clock was wrong when it was made.
    """
    made = {crl.issuer: crl.last_update_utc for crl in former if crl.last_update_utc <= now}
    return any(crl.last_update_utc < made.get(crl.issuer, crl.last_update_utc) for crl in crls)


def _name(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return f'"{common[0].value!s}"' if common else f'"{name.rfc4514_string()}"'


def checked(pem: bytes, home: Home) -> list[x509.CertificateRevocationList]:
    """Parse and check a set of CRLs against our chain and this host's clock, and that they name the probe.

    Raises:
        BrokerError: What is wrong with it.
    """
    try:
        probe = x509.load_pem_x509_certificate(home.cert_file(PROBE).read_bytes())
        chain = home.chain_file.read_bytes()
    except (OSError, ValueError) as error:
        raise BrokerError(f"the CRL cannot be checked: {error}") from error
    crls = parse(pem)
    check(crls, chain, datetime.now(UTC))
    if not is_revoked(crls, probe):
        raise BrokerError(
            f"the CRL does not name the certificate {home.cert_file(PROBE)}; publish it with it"
        )
    return crls
