"""Which of a gateway's certificates may still be renewed: those of one line only, so that a copy shows.

A gateway that renews with a certificate has given up whatever it had before. So who comes later with an
earlier one, or with its twin, is a copy (of a card, a backup, a stolen key) or the victim of one: he is
refused, which stands in the audit trail, and needs a token, which begins a new line. The others' certificates
connect until they end; `retire` ends them at once.
"""

from datetime import datetime

from django.db.models import Q, QuerySet

from cloud.errors import RefusedError
from cloud.registry.models import Certificate, Gateway

MOST_AT_ONCE = 500
"""Certificates of one gateway that have not ended. Nobody honest needs them, and each that is issued must go
on the CRL when its gateway is denied: a stolen one shall not make that long beforehand."""


def check_latest(found: Certificate) -> None:
    """Go on if no later certificate has taken this one's place.

    Raises:
        RefusedError: 403 "certificate-superseded".
    """
    if found.superseded_at is not None:
        raise RefusedError(
            "certificate-superseded",
            f"{found.name} has renewed from a later certificate already: one of the two is a copy's; "
            "find out which, then enrol with a new token",
        )


def check_not_too_many(gateway: Gateway, now: datetime) -> None:
    """Go on if the gateway has not more certificates than anybody needs.

    Raises:
        RefusedError: 429 "too-many-certificates".
    """
    count = gateway.certificates.filter(not_after__gt=now).count()
    if count >= MOST_AT_ONCE:
        raise RefusedError(
            "too-many-certificates", f"{gateway.pk} has {count} certificates that have not ended", 429
        )


def renewed(found: Certificate, now: datetime) -> None:
    """Note that a certificate was used for its successor: what it took the place of renews no more."""
    older = Q(pk__lt=found.pk)
    twins = Q(parent=found.parent_id) if found.parent_id else Q(pk__in=())
    _supersede(_others(found).filter(older | twins), now)


def begun_anew(first: Certificate, now: datetime) -> None:
    """Note that a token was used: what the gateway had before renews no more."""
    _supersede(_others(first).filter(pk__lt=first.pk), now)


def _others(of: Certificate) -> QuerySet[Certificate]:
    return Certificate.objects.filter(gateway=of.gateway_id).exclude(pk=of.pk)


def _supersede(found: QuerySet[Certificate], now: datetime) -> None:
    found.filter(superseded_at__isnull=True).update(superseded_at=now)
