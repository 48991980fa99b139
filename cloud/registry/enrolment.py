"""First certificates for a token, and new ones for old."""

from collections.abc import Callable

from cryptography import x509
from django.db import transaction

from cloud.ca.policy import check_request
from cloud.ca.profile import gateway_profile
from cloud.errors import RefusedError
from cloud.registry import attestation, audit, gateways, holdings, lineage, tokens, tries
from cloud.registry.models import Certificate, Gateway, State, Token
from cloud.registry.parts import parts
from cloud.registry.settle import settle_quietly

Chain = list[x509.Certificate]


def enrol(gateway_id: str, secret: str, csr_der: bytes, *, peer: str) -> Chain:
    """Certify a gateway's key for its token; return the leaf, then the intermediates.

    The same key may ask again for a while: the answer may have been lost on its way.

    Raises:
        RefusedError: With the reason; 400, 401, 403 or 429.
        SignerError: The authority cannot sign now; nothing is used up.
    """
    told = audit.refusals("enrol", gateway_id, actor="gateway", peer=peer)
    with told, tries.counted("enrol", gateway_id, peer):
        token = tokens.valid(gateway_id, secret)
        csr = check_request(csr_der, gateway_id, parts().policy)
        key = holdings.key_fingerprint(csr)
        _check(token, token.gateway, key)
        # not within the transaction: signing may take long, in a security module or at another authority
        chain = issue(csr, gateway_id)
        with transaction.atomic(durable=True):
            _record(token.pk, gateway_id, key, chain, peer)
    settle_quietly(gateway_id)
    return chain


def renew(certificate: x509.Certificate, csr_der: bytes, *, peer: str) -> Chain:
    """Certify a new key (or the old one once more) for who holds a valid certificate; as `enrol`.

    The caller has verified that the other side holds its key (TLS).

    Raises:
        RefusedError: With the reason; 400 or 403.
        SignerError: As `enrol`.
    """
    name = holdings.claimed_name(certificate)
    told = audit.refusals("renew", name, actor="gateway", peer=peer)
    with told, tries.bounded("renew", name, peer):
        return certify_again("renew", _unexpired(certificate), csr_der, peer)


def check_renewal(certificate: x509.Certificate, *, peer: str) -> Gateway:
    """Return the gateway that may renew with this certificate: it may prove where its next key lies.

    Raises:
        RefusedError: 403, as `renew`.
    """
    name = holdings.claimed_name(certificate)
    told = audit.refusals("attest", name, actor="gateway", peer=peer)
    with told, tries.bounded("attest", name, peer):
        return _certified_before(_unexpired(certificate))


def _unexpired(certificate: x509.Certificate) -> Certificate:
    found = holdings.recorded(certificate)
    if parts().now() >= found.not_after:
        raise RefusedError("certificate-expired", "this certificate has expired; use recovery")
    return found


def certify_again(
    action: str, found: Certificate, csr_der: bytes, peer: str, use: Callable[[], None] = lambda: None
) -> Chain:
    """Certify a key for who has proven to hold an earlier certificate of ours.

    Args:
        action: For the audit trail.
        found: The earlier certificate.
        csr_der: The request.
        peer: Address of the gateway.
        use: Uses up what proved it, within the transaction; may refuse.

    Raises:
        RefusedError: With the reason; 400 or 403.
    """
    csr = check_request(csr_der, found.name, parts().policy)
    key = holdings.key_fingerprint(csr)
    _check_holder(found, key)
    chain = issue(csr, found.name)
    with transaction.atomic(durable=True):
        gateway = gateways.locked(found.name)
        found.refresh_from_db()
        _check_holder(found, key)
        use()
        lineage.renewed(found, parts().now())
        attestation.forget_proof(gateway)
        row = holdings.record(chain, gateway.pk, gateway, found)
        _tell(action, row, peer)
    return chain


def issue(csr: x509.CertificateSigningRequest, gateway_id: str) -> Chain:
    """Have the authority sign for a gateway; nothing is recorded yet, and nothing handed out.

    Raises:
        SignerError: It cannot.
    """
    policy = parts().policy
    return parts().issuer.issue(csr, gateway_profile(gateway_id, policy, parts().now()))


def _check_holder(found: Certificate, key: str) -> None:
    gateway = _certified_before(found)
    lineage.check_not_too_many(gateway, parts().now())
    holdings.check_key_is_free(key, gateway.pk)
    attestation.check_proven(gateway, key)


def _certified_before(found: Certificate) -> Gateway:
    """Return the gateway if this certificate entitles it to another one. Raises RefusedError."""
    gateway = gateways.find(found.name)
    tokens.check_state(gateway)
    if gateway.state != State.ENROLLED:
        raise RefusedError("gateway-expected", f"{gateway.pk} has to enrol with its token")
    holdings.check_not_revoked(found)
    lineage.check_latest(found)
    return gateway


def _check(token: Token, gateway: Gateway, key: str) -> None:
    """Check what may have changed while the authority signed; done before and after."""
    tokens.check_state(gateway)
    tokens.check_fresh(token)
    lineage.check_not_too_many(gateway, parts().now())
    holdings.check_key_is_free(key, gateway.pk)
    if token.used_at is not None:
        if token.used_for != key:
            raise RefusedError("token-used", "the token was used already, for another key", 401)
        return
    attestation.check_proven(gateway, key)


def _record(token_id: int, gateway_id: str, key: str, chain: Chain, peer: str) -> None:
    gateway = gateways.locked(gateway_id)
    token = Token.objects.select_for_update().get(pk=token_id)
    _check(token, gateway, key)
    row = holdings.record(chain, gateway_id, gateway)
    now = parts().now()
    if token.used_at is None:
        token.used_at, token.used_for = now, key
        token.save(update_fields=["used_at", "used_for"])
        lineage.begun_anew(row, now)
    attestation.forget_proof(gateway)
    if gateway.state != State.ENROLLED:
        gateway.state, gateway.changed_at, gateway.changed_by = State.ENROLLED, now, "gateway"
        gateway.save(update_fields=["state", "changed_at", "changed_by"])
    _tell("enrol", row, peer)


def _tell(action: str, row: Certificate, peer: str) -> None:
    audit.record(
        action,
        row.name,
        actor="gateway",
        peer=peer,
        serial=row.serial,
        issuer=row.issuer,
        key=row.key_fingerprint,
        until=row.not_after.isoformat(),
    )


def holder(certificate: x509.Certificate) -> Gateway:
    """Return the gateway whose valid certificate this is; not recorded, for it decides nothing.

    Raises:
        RefusedError: 403, as `renew`.
    """
    found = holdings.recorded(certificate)
    gateway = gateways.find(found.name)
    tokens.check_state(gateway)
    holdings.check_not_revoked(found)
    return gateway
