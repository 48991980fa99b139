"""Proofs that a key lies in the TPM of a gateway. How they are obtained is the EST server's matter."""

import hashlib
from datetime import timedelta

from django.db import transaction

from cloud.errors import RefusedError
from cloud.registry import audit, gateways, tries
from cloud.registry.models import Attestation, Gateway, Proof
from cloud.registry.parts import parts


def check_ek(gateway_id: str, ek_fingerprint: str, *, binds: bool = True, peer: str = "") -> None:
    """Go on if the TPM with this endorsement key may speak for the gateway.

    Raises:
        RefusedError: 403 "ek-bound" (it is another gateway's), "ek-changed" (the gateway showed another), or
            "ek-unbound" (it showed none, and this is not the time to: `binds` is False).
    """
    with audit.refusals("attest", gateway_id, actor="gateway", peer=peer):
        _check_ek(gateways.find(gateway_id), ek_fingerprint, binds=binds)


def note_attested(
    gateway_id: str, ek_fingerprint: str, public_key_der: bytes, *, binds: bool = True, peer: str = ""
) -> None:
    """Note that this key lies in the TPM of the gateway; good for one certificate, for minutes.

    Args:
        gateway_id: Who proved it.
        ek_fingerprint: SHA-256 of the endorsement key (hexadecimal).
        public_key_der: SubjectPublicKeyInfo of the proven key.
        binds: The TPM becomes the gateway's if none is yet: only a token, which a person has carried there,
            says that this is the right one.
        peer: Address of the gateway.

    Raises:
        RefusedError: As `check_ek`.
    """
    key = hashlib.sha256(public_key_der).hexdigest()
    with audit.refusals("attest", gateway_id, actor="gateway", peer=peer), transaction.atomic():
        gateway = gateways.locked(gateway_id)
        _check_ek(gateway, ek_fingerprint, binds=binds)
        gateway.ek_fingerprint = ek_fingerprint
        gateway.save(update_fields=["ek_fingerprint"])
        Proof.objects.update_or_create(
            gateway=gateway, defaults={"key_fingerprint": key, "at": parts().now()}
        )
        audit.record("attest", gateway_id, actor="gateway", peer=peer, ek=ek_fingerprint, key=key)


def note_refused(gateway_id: str, action: str, error: RefusedError, *, peer: str) -> None:
    """Record what the EST server refuses by itself, e.g. a proof that does not hold."""
    tries.note(gateway_id, peer, action)
    audit.refused(action, gateway_id, error, actor="gateway", peer=peer)


def check_proven(gateway: Gateway, key: str) -> None:
    """Go on if the gateway needs no proof, or has given one for this key lately.

    Raises:
        RefusedError: 403 "attestation-missing", "attestation-stale" or "attestation-other-key".
    """
    if gateway.attestation == Attestation.NONE:
        return
    proof = Proof.objects.filter(gateway=gateway).first()
    if proof is None:
        raise RefusedError("attestation-missing", f"{gateway.pk} has to prove that its key lies in its TPM")
    if parts().now() >= proof.at + timedelta(seconds=parts().enrolment.attestation_valid_s):
        raise RefusedError("attestation-stale", "the proof of the TPM is too old; begin again")
    if proof.key_fingerprint != key:
        raise RefusedError("attestation-other-key", "the TPM has proven another key than the request's")


def forget_proof(gateway: Gateway) -> None:
    """Use up the proof."""
    Proof.objects.filter(gateway=gateway).delete()


def _check_ek(gateway: Gateway, ek_fingerprint: str, *, binds: bool) -> None:
    other = Gateway.objects.filter(ek_fingerprint=ek_fingerprint).exclude(pk=gateway.pk).first()
    if other is not None:
        raise RefusedError("ek-bound", f"this TPM belongs to {other.pk}")
    if gateway.ek_fingerprint not in (None, ek_fingerprint):
        raise RefusedError(
            "ek-changed",
            f"{gateway.pk} came with another TPM before; see: reed-cloud gateway replace-hardware",
        )
    if gateway.ek_fingerprint is None and not binds:
        raise RefusedError("ek-unbound", f"{gateway.pk} has shown no TPM yet; enrol it with a new token")
