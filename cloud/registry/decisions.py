"""Grant, deny, retire: the database first, then the broker, then the CRLs.

The database decides. If this process dies after it, or broker or CRL fail, `reconcile` makes them follow;
neither waits for the other, since each alone keeps a denied gateway from publishing and reading.
"""

import time

from cryptography.x509 import ReasonFlags
from django.db import transaction
from django.db.models import Q

from cloud.errors import BrokerError, RefusedError
from cloud.registry import audit, gateways
from cloud.registry.holdings import HOLD
from cloud.registry.models import Gateway, State
from cloud.registry.parts import parts
from cloud.registry.revocation import publish_quietly
from cloud.registry.settle import settle_quietly

_ENDED = ReasonFlags.cessation_of_operation.value
_HANGS_S = 1.0
"""A broker that is down or refuses says so sooner."""
_STOLEN = ReasonFlags.key_compromise.value


def deny(gateway_id: str, *, actor: str, reason: str) -> Gateway:
    """Keep a gateway out until it is granted again; its certificates are put on hold.

    Raises:
        UnknownError: There is no such gateway.
        RefusedError: It is retired.
        BrokerError: It is denied, but broker or CRL did not follow yet; `reconcile` goes on trying.
    """
    with audit.refusals("deny", gateway_id, actor=actor), transaction.atomic(durable=True):
        gateway = gateways.locked(gateway_id)
        _refuse_retired(gateway)
        gateway.certificates.filter(revoked_at__isnull=True).update(
            revoked_at=parts().now(), revoked_reason=HOLD
        )
        _enter(gateway, State.DENIED, "deny", actor, reason)
    return _carry_out("denied", gateway)


def grant(gateway_id: str, *, actor: str, reason: str) -> Gateway:
    """Let a denied gateway in again, with the certificates that it has.

    Raises:
        UnknownError: There is no such gateway.
        RefusedError: It is retired.
        BrokerError: It is granted, but broker or CRL did not follow yet; `reconcile` goes on trying.
    """
    with audit.refusals("grant", gateway_id, actor=actor), transaction.atomic(durable=True):
        gateway = gateways.locked(gateway_id)
        _refuse_retired(gateway)
        gateway.certificates.filter(revoked_reason=HOLD).update(revoked_at=None, revoked_reason="")
        known = gateway.certificates.filter(revoked_at__isnull=True).exists()
        _enter(gateway, State.ENROLLED if known else State.EXPECTED, "grant", actor, reason)
    return _carry_out("granted", gateway)


def retire(gateway_id: str, *, actor: str, reason: str, stolen: bool = True) -> Gateway:
    """Let a gateway never in again with any key it had; a new token brings its name back.

    Args:
        gateway_id: Which.
        actor: Who says so.
        reason: For people.
        stolen: Its key may be in wrong hands; otherwise it only came to its end.

    Raises:
        UnknownError: There is no such gateway.
        BrokerError: It is retired, but broker or CRL did not follow yet; `reconcile` goes on trying.
    """
    with audit.refusals("retire", gateway_id, actor=actor), transaction.atomic(durable=True):
        gateway = gateways.locked(gateway_id)
        lasting = gateway.certificates.filter(Q(revoked_at__isnull=True) | Q(revoked_reason=HOLD))
        lasting.update(revoked_at=parts().now(), revoked_reason=_STOLEN if stolen else _ENDED)
        gateway.tokens.filter(void=False).update(void=True)
        _enter(gateway, State.RETIRED, "retire", actor, reason)
    return _carry_out("retired", gateway)


def _refuse_retired(gateway: Gateway) -> None:
    if gateway.state == State.RETIRED:
        raise RefusedError(
            "gateway-retired", f"{gateway.pk} was retired for good; a new token brings it back", 409
        )


def _enter(gateway: Gateway, state: State, action: str, actor: str, reason: str) -> None:
    """Change the state and tell so, within the transaction of the decision."""
    entry = audit.record(action, gateway.pk, actor=actor, reason=reason, before=gateway.state)
    gateway.state, gateway.changed_at = state, entry.at
    gateway.changed_by, gateway.reason = entry.actor, entry.reason
    gateway.save(update_fields=["state", "changed_at", "changed_by", "reason"])


def _carry_out(done: str, gateway: Gateway) -> Gateway:
    """Have broker and CRLs follow; the second is tried whatever becomes of the first.

    If the broker hangs, the CRL is only written: it gets that from `reconcile`, with the rest.
    """
    began_s = time.monotonic()
    broker = settle_quietly(gateway.pk)
    # Each further question to a broker that hangs would cost a person another time-out.
    hangs = bool(broker) and time.monotonic() - began_s > _HANGS_S
    crl = publish_quietly(at_broker=not hangs)
    if not hangs and not crl and gateway.state != State.ENROLLED:
        broker = settle_quietly(
            gateway.pk
        )  # ends what connected, without any right, before the CRL was there
    missing = {"the broker": broker, "the CRL": crl}
    problems = [f"{what} did not follow: {problem}" for what, problem in missing.items() if problem]
    if problems:
        raise BrokerError(f"{gateway.pk} is {done}, but {'; '.join(problems)} (it is tried again)")
    return gateway
