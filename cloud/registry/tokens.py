"""One-time tokens for enrolment: 128 random bits, of which only the SHA-256 is kept."""

import base64
import hashlib
import hmac
import secrets
from datetime import timedelta

from cryptography.hazmat.primitives import serialization
from django.db import transaction

from cloud.ca.folder import signed_by
from cloud.errors import RefusedError, SetupError, UnknownError
from cloud.registry import audit, gateways, tries
from cloud.registry.config import DAY_S
from cloud.registry.models import Gateway, State, Token
from cloud.registry.parts import parts

LONGEST_S = 366 * DAY_S

_SECRET_BYTES = 16
_WRONG = "the token is wrong; check it, or have a new one made with: reed-cloud token create"


def new_token(gateway_id: str, *, valid_for_s: int | None = None, actor: str) -> str:
    """Return a token for a person to carry: `<gateway-id>.<secret>.<pin>`. Older ones are void from now on.

    A retired gateway is expected again by this.

    Raises:
        UnknownError: There is no such gateway.
        RefusedError: It is denied.
        SetupError: There is no root to be pinned, or the time is too short or too long.
    """
    pin = _pin()
    valid_for_s = parts().enrolment.token_valid_s if valid_for_s is None else valid_for_s
    if not 0 < valid_for_s <= LONGEST_S:
        raise SetupError(f"a token cannot be good for {valid_for_s} s; give 1 s to {LONGEST_S // DAY_S} days")
    secret = base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode().rstrip("=").lower()
    with audit.refusals("token", gateway_id, actor=actor), transaction.atomic():
        gateway = gateways.locked(gateway_id)
        if gateway.state == State.DENIED:
            raise RefusedError("gateway-denied", f"{gateway_id} is denied; grant it first", 409)
        now = parts().now()
        if gateway.state == State.RETIRED:
            gateway.state, gateway.changed_at, gateway.changed_by = (
                State.EXPECTED,
                now,
                audit.clean(actor, 100),
            )
            gateway.reason = ""
            gateway.save()
            audit.record("readmit", gateway_id, actor=actor)
        gateway.tokens.filter(used_at__isnull=True).update(void=True)
        expires = now + timedelta(seconds=valid_for_s)
        Token.objects.create(
            gateway=gateway, hash=_hash(gateway_id, secret), created_at=now, expires_at=expires
        )
        audit.record("token", gateway_id, actor=actor, expires=expires.isoformat())
    return f"{gateway_id}.{secret}.{pin}"


def check_token(gateway_id: str, secret: str, *, peer: str = "") -> Gateway:
    """Return the gateway that the secret belongs to; nothing is used up.

    Raises:
        RefusedError: 401 wrong, expired, used or withdrawn; 403 denied or retired; 429 tried too often.
    """
    told = audit.refusals("token-check", gateway_id, actor="gateway", peer=peer)
    with told, tries.counted("token-check", gateway_id, peer):
        return valid(gateway_id, secret).gateway


def valid(gateway_id: str, secret: str) -> Token:
    """Return the token if it may be used now, or was used a moment ago: its answer may have been lost.

    Raises:
        RefusedError: As `check_token`; nothing is recorded or counted.
    """
    token = _matching(gateway_id, secret)
    if token is None:
        raise RefusedError("token-wrong", _WRONG, 401)
    check_state(token.gateway)
    check_fresh(token)
    return token


def check_fresh(token: Token) -> None:
    """Go on if the token may be used, or was used within the time for a retry.

    Raises:
        RefusedError: 401 with the reason.
    """
    now = parts().now()
    retry = timedelta(seconds=parts().enrolment.retry_s)
    if token.void:
        raise RefusedError("token-void", "the token was withdrawn; use the latest one", 401)
    if token.used_at is not None:
        if now >= token.used_at + retry:
            raise RefusedError("token-used", "the token was used already; have a new one made", 401)
    elif now >= token.expires_at:
        raise RefusedError("token-expired", f"the token ended at {token.expires_at:%Y-%m-%d %H:%M} UTC", 401)


def check_state(gateway: Gateway) -> None:
    """Go on if the gateway may be certified.

    Raises:
        RefusedError: 403.
    """
    if gateway.state == State.DENIED:
        raise RefusedError(
            "gateway-denied", f"{gateway.pk} is denied; have it granted with: reed-cloud gateway grant"
        )
    if gateway.state == State.RETIRED:
        raise RefusedError("gateway-retired", f"{gateway.pk} was retired; it needs a new token")


def _matching(gateway_id: str, secret: str) -> Token | None:
    """Compare with every token of the gateway, each in the same time whatever was given."""
    wanted = _hash(audit.clean(gateway_id, 64), audit.clean(secret, 64))
    try:
        gateway = gateways.find(gateway_id)
    except UnknownError:
        return None
    found = None
    for token in Token.objects.select_related("gateway").filter(gateway=gateway).order_by("-pk"):
        if hmac.compare_digest(token.hash, wanted):
            found = token
    return found


def _hash(gateway_id: str, secret: str) -> str:
    return hashlib.sha256(f"{gateway_id}:{secret}".encode()).hexdigest()


def _pin() -> str:
    """Return the fingerprint of the root that the gateway needs at its first visit: our web server's.

    While a root changes that is the older one, until an intermediate under the newer one issues.
    """
    issuer = parts().issuer
    roots, below = list(issuer.roots()), list(issuer.intermediates())[:1]
    if not roots:
        raise SetupError("there is no root yet; run: reed-cloud ca root")
    above = [root for root in roots for each in below if signed_by(each, root)]
    digest = hashlib.sha256((above or roots)[-1].public_bytes(serialization.Encoding.DER)).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
