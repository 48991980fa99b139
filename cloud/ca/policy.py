"""What a gateway may be certified for. Pure: bytes in, a public key or a refusal out.

Sources: RFC 2986 (PKCS #10), RFC 5280 section 4.2.1, RFC 7030 section 4.2.1.
"""

import re
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloud.errors import RefusedError

GATEWAY_ID = re.compile(r"[a-z0-9-]{1,63}")
REQUEST_BYTES = 16_384
"""No honest request comes near: a P-256 one has 200 bytes."""

_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""Whatever cryptography raises for bytes that it does not understand."""

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The table `[policy]` of cloud.toml.

    Args:
        gateway_days: Lifetime of a gateway's certificate.
        service_days: Lifetime of our own servers' and clients' certificates.
        allow_p384: Keys on P-384 are certified, too.
        recovery_days: How long after its end a certificate may still prove who one is.
        backdate_s: Certificates begin this long before now, for clocks that are a little slow.
        crl_days: Until when a CRL may be used; it is replaced every `crl_refresh_s`.
        crl_refresh_s: See `crl_days`.
    """

    gateway_days: float = 30.0
    service_days: float = 90.0
    allow_p384: bool = False
    recovery_days: float = 365.0
    backdate_s: int = 3600
    crl_days: float = 7.0
    crl_refresh_s: int = 3600

    def __post_init__(self) -> None:
        ranges = (
            ("gateway_days", self.gateway_days, 0.001, 825),
            ("service_days", self.service_days, 0.001, 825),
            ("recovery_days", self.recovery_days, 0, 3660),
            ("backdate_s", self.backdate_s, 0, 86_400),
            ("crl_days", self.crl_days, 0.01, 90),
            ("crl_refresh_s", self.crl_refresh_s, 1, 86_400),
        )
        for name, value, least, most in ranges:
            if not least <= value <= most:
                raise ValueError(f"{name} {value} is out of range; give {least} to {most}")
        if self.crl_refresh_s * 2 > self.crl_days * 86_400:
            raise ValueError("crl_refresh_s must be at most half of crl_days: CRLs have to overlap")


def check_request(csr_der: bytes, gateway_id: str, policy: Policy) -> x509.CertificateSigningRequest:
    """Return the request if a certificate for this gateway may answer it.

    Raises:
        RefusedError: With the reason, e.g. "csr-name", status 400.
    """
    csr = _parsed(csr_der)
    check_key(csr.public_key(), policy)
    try:
        fits = csr.is_signature_valid and isinstance(csr.signature_hash_algorithm, _HASHES)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        fits = False
    if not fits:
        raise _refused("csr-signature", "the request is not signed by its own key with SHA-256 or better")
    _check_name(csr, gateway_id)
    return csr


def _parsed(csr_der: bytes) -> x509.CertificateSigningRequest:
    if len(csr_der) > REQUEST_BYTES:
        raise _refused("csr-size", f"the request has {len(csr_der)} bytes; at most {REQUEST_BYTES} are read")
    try:
        csr = x509.load_der_x509_csr(csr_der)
        csr.public_key()
        _ = list(csr.extensions), csr.subject.rfc4514_string()  # read when they are asked for
    except _UNREADABLE as error:
        raise _refused("csr-broken", f"the request is no readable PKCS #10: {_one_line(error)}") from None
    return csr


def check_key(key: object, policy: Policy) -> ec.EllipticCurvePublicKey:
    """Return the key if it is of a kind that we certify.

    Raises:
        RefusedError: "csr-key".
    """
    curves = "P-256 or P-384" if policy.allow_p384 else "P-256"
    if isinstance(key, ec.EllipticCurvePublicKey):
        allowed = (ec.SECP256R1, ec.SECP384R1) if policy.allow_p384 else (ec.SECP256R1,)
        if isinstance(key.curve, allowed):
            return key
        raise _refused("csr-key", f"the key lies on {key.curve.name}; make one on {curves}")
    raise _refused("csr-key", f"the key is of another kind; make an elliptic one on {curves}")


def _check_name(csr: x509.CertificateSigningRequest, gateway_id: str) -> None:
    names = [str(attribute.value) for attribute in csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [gateway_id] or len(list(csr.subject)) != 1:
        asked = csr.subject.rfc4514_string()[:80] or "nobody"
        raise _refused("csr-name", f"the request is for {_printable(asked)}, not for CN={gateway_id}")
    for extension in csr.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName) and list(value) != [x509.DNSName(gateway_id)]:
            raise _refused("csr-name", f"the request names others beside {gateway_id}")
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise _refused("csr-authority", "the request wants to become an authority")


def _refused(reason: str, detail: str) -> RefusedError:
    return RefusedError(reason, detail, 400)


def _one_line(error: Exception) -> str:
    return _printable(" ".join(str(error).split()))[:120] or type(error).__name__


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
