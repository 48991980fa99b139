"""Who issues: the interface that the registry uses, whoever stands behind it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography import x509

from cloud.ca.profile import Profile


@dataclass(frozen=True, slots=True)
class Revoked:
    """One entry of a CRL.

    Args:
        issuer: Subject key identifier of the authority that signed the certificate (hexadecimal).
        serial: Of the certificate.
        at: Since when.
        reason: As in RFC 5280.
    """

    issuer: str
    serial: int
    at: datetime
    reason: x509.ReasonFlags


class Issuer(Protocol):
    """An authority: our own, or another one behind EST. Thread-safe."""

    def issue(self, csr: x509.CertificateSigningRequest, profile: Profile) -> list[x509.Certificate]:
        """Return the certificate for the request's key, then the intermediates up to the root, without it.

        The request has been checked; name, lifetime and usage come from the profile.

        Raises:
            SignerError: The key cannot be used, or the other authority does not answer.
            RefusedError: The other authority refuses.
        """

    def roots(self) -> Sequence[x509.Certificate]:
        """Return the roots to be trusted; two while a root changes."""

    def intermediates(self) -> Sequence[x509.Certificate]:
        """Return the intermediates in use, the issuing one first."""

    def crl(self, revoked: Iterable[Revoked], number: int, now: datetime) -> bytes:
        """Return the CRLs (PEM) of every authority whose certificates are in use.

        Args:
            revoked: All that must be listed.
            number: Higher than any before.
            now: When they begin to hold.

        Raises:
            SignerError: As `issue`.
        """
