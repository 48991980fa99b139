"""Is the certificate that the cloud has sent the one that was asked for? Asked before it is used."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gateway.errors import IdentityError

if TYPE_CHECKING:
    from cryptography import x509

_LONGEST_CHAIN = 6


def check(
    pem: bytes, *, public_key_der: bytes, gateway_id: str, roots_pem: bytes, now_unix_s: float | None
) -> bytes:
    """Return the certificate and its intermediates in order, ours first, as PEM.

    Args:
        pem: As it came: certificates in any order.
        public_key_der: Of our key, SubjectPublicKeyInfo.
        gateway_id: What the common name must be.
        roots_pem: Where the chain must end.
        now_unix_s: None while the clock is not to be trusted; then dates are not judged.

    Raises:
        IdentityError: It is for another key or name, from another authority, not valid now, or garbage.
    """
    from cryptography import x509  # noqa: PLC0415  10 MiB

    from gateway.identity.foreign import UNREADABLE  # noqa: PLC0415

    try:
        sent = x509.load_pem_x509_certificates(pem)
        leaf = _ours(sent, public_key_der)
        _check_use(leaf, gateway_id)
        chain = _chain(leaf, sent, x509.load_pem_x509_certificates(roots_pem))
    except UNREADABLE as error:
        raise IdentityError(f"the cloud sent a certificate that cannot be read ({error})") from None
    if now_unix_s is not None:
        now = datetime.fromtimestamp(now_unix_s, UTC)
        for one in chain:
            _check_dates(one, now)
    return b"".join(_pem(one) for one in chain)


def _ours(sent: "Sequence[x509.Certificate]", public_key_der: bytes) -> "x509.Certificate":
    for one in sent:
        if _public_key_der(one) == public_key_der:
            return one
    raise IdentityError("the cloud sent a certificate for another key than ours")


def _check_use(leaf: "x509.Certificate", gateway_id: str) -> None:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: PLC0415

    from gateway.identity.foreign import is_authority  # noqa: PLC0415

    names = [str(name.value) for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [gateway_id]:
        raise IdentityError(
            f"the cloud sent a certificate for {', '.join(names) or 'nobody'}, not {gateway_id}"
        )
    if is_authority(leaf):
        raise IdentityError("the cloud sent a certificate of an authority, not of a gateway")
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return  # good for everything (RFC 5280, 4.2.1.12)
    if ExtendedKeyUsageOID.CLIENT_AUTH not in uses:
        raise IdentityError("the cloud sent a certificate that is not for TLS clients")


def _chain(
    leaf: "x509.Certificate", sent: "Sequence[x509.Certificate]", roots: "Sequence[x509.Certificate]"
) -> "list[x509.Certificate]":
    """Return leaf and intermediates up to, without, one of our roots."""
    chain = [leaf]
    while len(chain) < _LONGEST_CHAIN:
        if any(_issued(chain[-1], root) for root in roots):
            return chain
        issuers = [one for one in sent if one not in chain and _issued(chain[-1], one)]
        if not issuers:
            break
        chain.append(issuers[0])
    raise IdentityError("the cloud sent a certificate that does not come from an authority of ours")


def _issued(certificate: "x509.Certificate", issuer: "x509.Certificate") -> bool:
    from gateway.identity.foreign import has_signed, is_authority  # noqa: PLC0415

    return has_signed(issuer, certificate) and is_authority(issuer)


def _check_dates(certificate: "x509.Certificate", now: datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= now <= end:
        raise IdentityError(
            f"the cloud sent a certificate that is valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} "
            f"UTC, not at {now:%Y-%m-%d %H:%M}; check this machine's clock"
        )


def _public_key_der(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _pem(certificate: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415

    return certificate.public_bytes(Encoding.PEM)
