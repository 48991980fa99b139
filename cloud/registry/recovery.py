"""Back in without a visit: who holds the key of an earlier certificate of ours gets a new one.

For certificates that expired while the gateway was away, and for those whose authority had to be given up.
The registry's own record of the certificate is what counts, so a stolen authority cannot make any up.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.db import transaction

from cloud.ca.certificates import spki
from cloud.ca.policy import check_key
from cloud.errors import RefusedError
from cloud.registry import audit, enrolment, gateways, holdings, lineage, models, tokens, tries
from cloud.registry.models import Certificate
from cloud.registry.parts import parts

PREFIX = b"reed-recovery-v1\0"
"""What the old key signs: this, the nonce, the request (DER)."""

_NONCE_BYTES = 32
_PENDING = 20
"""Nonces for one certificate at a time; beyond, the oldest is forgotten: a flood leaves no heap."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """A nonce to be signed with the old key."""

    id: str
    nonce: bytes


def begin_recovery(certificate: x509.Certificate, *, peer: str) -> Recovery:
    """Return a nonce for the holder of an earlier certificate.

    Raises:
        RefusedError: 403: not ours, revoked, too old, or its gateway is denied or retired.
    """
    name = holdings.claimed_name(certificate)
    with audit.refusals("recovery", name, actor="gateway", peer=peer), tries.bounded("recovery", name, peer):
        found = holdings.recorded(certificate)
        _check(found)
        key = check_key(certificate.public_key(), parts().policy)
        made = Recovery(secrets.token_hex(16), secrets.token_bytes(_NONCE_BYTES))
        with transaction.atomic():
            _tidy(found)
            models.Recovery.objects.create(
                id=made.id,
                certificate=found,
                certificate_key=spki(key),
                nonce=made.nonce,
                created_at=parts().now(),
            )
    return made


def check_recovery(recovery_id: str, *, peer: str) -> models.Gateway:
    """Return the gateway that a recovery is under way for: it may prove where its next key lies.

    Nothing is used up. Who begins a recovery need not hold the old key: the proof says only that the key lies
    in the TPM that is the gateway's already.

    Raises:
        RefusedError: 403, as `finish_recovery`.
    """
    row = _pending(recovery_id)
    subject = row.certificate.name if row else audit.clean(recovery_id, 32)
    told = audit.refusals("attest", subject, actor="gateway", peer=peer)
    with told, tries.bounded("attest", subject, peer):
        if row is None:
            raise _gone()
        _check(row.certificate)
        return gateways.find(row.certificate.name)


def finish_recovery(recovery_id: str, csr_der: bytes, signature: bytes, *, peer: str) -> enrolment.Chain:
    """Certify the new key of who signed the nonce and the request with the old one; as `enrol`.

    Raises:
        RefusedError: 400 or 403 with the reason.
        SignerError: The authority cannot sign now; the nonce stays good.
    """
    row = _pending(recovery_id)
    subject = row.certificate.name if row else audit.clean(recovery_id, 32)
    told = audit.refusals("recovery", subject, actor="gateway", peer=peer)
    with told, tries.bounded("recovery", subject, peer):
        if row is None:
            raise _gone()
        _check(row.certificate)
        _verify(row, csr_der, signature)
        return enrolment.certify_again("recovery", row.certificate, csr_der, peer, lambda: _use(recovery_id))


def _check(found: Certificate) -> None:
    tokens.check_state(gateways.find(found.name))
    holdings.check_not_revoked(found)
    lineage.check_latest(found)
    days = parts().policy.recovery_days
    if parts().now() >= found.not_after + timedelta(days=days):
        raise RefusedError(
            "certificate-too-old", f"the certificate ended more than {days:g} days ago; use a token"
        )


def _verify(row: models.Recovery, csr_der: bytes, signature: bytes) -> None:
    key = load_der_public_key(bytes(row.certificate_key))
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _gone()
    try:
        key.verify(signature, PREFIX + bytes(row.nonce) + csr_der, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise RefusedError("recovery-signature", "the old key has not signed this request") from None


def _pending(recovery_id: str) -> models.Recovery | None:
    found = models.Recovery.objects.select_related("certificate").filter(
        pk=audit.clean(recovery_id, 32), used_at__isnull=True, created_at__gt=_oldest()
    )  # fmt: skip
    return found.first()


def _use(recovery_id: str) -> None:
    """Use up the nonce; whoever comes second is refused."""
    unused = models.Recovery.objects.filter(pk=recovery_id, used_at__isnull=True)
    if not unused.update(used_at=parts().now()):
        raise _gone()


def _tidy(found: Certificate) -> None:
    models.Recovery.objects.filter(created_at__lte=_oldest()).delete()
    kept = (
        models.Recovery.objects.filter(certificate=found).order_by("-created_at").values_list("pk", flat=True)
    )
    models.Recovery.objects.filter(pk__in=list(kept[_PENDING - 1 :])).delete()


def _oldest() -> datetime:
    return parts().now() - timedelta(seconds=parts().enrolment.attestation_valid_s)


def _gone() -> RefusedError:
    return RefusedError("recovery-unknown", "this recovery is unknown, used or too old; begin again")
