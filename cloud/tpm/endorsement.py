"""Whether a maker whom we believe says that a key is in one of its TPMs (TCG EK Credential Profile).

Written by hand: `cryptography.x509.verification` asks for names and purposes that these certificates lack.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud.errors import RefusedError, SetupError
from cloud.tpm.public import Public

_EK_CERTIFICATE: Final = x509.ObjectIdentifier("2.23.133.8.1")
"""tcg-kp-EKCertificate, the purpose that only a TPM's maker may write into a certificate."""
_SHA2: Final = {"sha256", "sha384", "sha512"}
_INTERMEDIATES_MAX: Final = 4
_DER_SEQUENCE: Final = 0x30
_DER_LONG: Final = 0x82
_PROBLEMS: Final = (
    ValueError,
    TypeError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""Everything that `cryptography` may say of a certificate that somebody made up."""


@dataclass(frozen=True, slots=True)
class Makers:
    """Whom we believe.

    Args:
        roots: Certificates that sign themselves.
        intermediates: Certificates between them and the TPMs.
    """

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the makers of all PEM files in the folder; none if there is no such folder.

        Raises:
            SetupError: A file cannot be read or is no PEM.
        """
        paths = sorted(path for path in folder.glob("*") if path.suffix in (".pem", ".crt"))
        found = [certificate for path in paths for certificate in _read(path)]
        return cls(
            tuple(certificate for certificate in found if certificate.subject == certificate.issuer),
            tuple(certificate for certificate in found if certificate.subject != certificate.issuer),
        )

    def vouch(self, certificate_der: bytes, ek: Public, now: dt.datetime) -> None:
        """Return if one of the makers says that `ek` is the endorsement key of one of its TPMs.

        Raises:
            RefusedError: None does; `reason` tells why.
        """
        try:
            certificate = x509.load_der_x509_certificate(_without_padding(certificate_der))
            _must_be_for(certificate, ek)
            _must_be_valid(certificate, now)
            if not self._has_path(certificate, now):
                maker = certificate.issuer.rfc4514_string()[:200]
                raise RefusedError(
                    "ek-unknown-maker",
                    f"the TPM's maker is not trusted here: {maker!r}; an operator may add its root",
                )
        except _PROBLEMS as error:
            problem = " ".join(str(error).split())[:200]
            raise RefusedError(
                "ek-certificate-malformed", f"TPM certificate cannot be read: {problem}", 400
            ) from None

    def _has_path(self, certificate: x509.Certificate, now: dt.datetime, depth: int = 0) -> bool:
        """Whether intermediates, in any order, lead from here to a root."""
        if any(_signed(certificate, root, now, depth) for root in self.roots):
            return True
        return depth < _INTERMEDIATES_MAX and any(
            self._has_path(issuer, now, depth + 1)
            for issuer in self.intermediates
            if issuer != certificate and _signed(certificate, issuer, now, depth)
        )


def _read(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError) as error:
        raise SetupError(f"{path}: holds no certificates of TPM makers in PEM: {error}") from None


def _must_be_for(certificate: x509.Certificate, ek: Public) -> None:
    """Refuse a certificate of another key, or one that says nothing of a TPM."""
    theirs = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if theirs != ek.key_der:
        raise RefusedError("ek-other-key", "the TPM's certificate is for another endorsement key")
    if _is_authority(certificate.extensions):
        raise RefusedError("ek-not-a-tpm", "the TPM's certificate is that of an authority, not of a TPM")
    try:
        purposes: Iterable[x509.ObjectIdentifier] = certificate.extensions.get_extension_for_class(
            x509.ExtendedKeyUsage
        ).value
    except x509.ExtensionNotFound:
        purposes = ()
    if _EK_CERTIFICATE not in purposes:
        raise RefusedError("ek-not-a-tpm", "the certificate does not say that its key is in a TPM")


def _must_be_valid(certificate: x509.Certificate, now: dt.datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise RefusedError("ek-expired", "the TPM's certificate is not valid now")


def _is_authority(extensions: x509.Extensions) -> bool:
    try:
        return extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _signed(certificate: x509.Certificate, issuer: x509.Certificate, now: dt.datetime, depth: int) -> bool:
    """Whether `issuer`, `depth` authorities above the TPM's certificate, may have signed and has."""
    if issuer.subject != certificate.issuer or not _may_sign(issuer, depth):
        return False
    if not issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc:
        return False
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None or algorithm.name not in _SHA2:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _may_sign(issuer: x509.Certificate, depth: int) -> bool:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not constraints.ca or (constraints.path_length is not None and constraints.path_length < depth):
            return False
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return _is_authority(issuer.extensions)  # without a key usage it may do everything


def _without_padding(der: bytes) -> bytes:
    """Cut off what follows the certificate: a TPM's memory area is often larger than what is in it."""
    header_bytes = 4
    if len(der) < header_bytes or der[0] != _DER_SEQUENCE or der[1] != _DER_LONG:
        return der
    end = header_bytes + int.from_bytes(der[2:header_bytes], "big")
    return der[:end] if not der[end:].strip(b"\0\xff") else der
