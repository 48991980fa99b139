"""Bounds how often one may be refused: for a wrong secret, or with a right one for something else.

Counted by gateway and peer together, and by peer: counting by gateway alone would let anybody shut out
the installer on the ladder. The secrets have 128 bits, so guessing from many addresses gains nothing. An
address of IPv6 is counted as its network (/64): whoever has one of it has all.
"""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from cloud.errors import RefusedError
from cloud.registry import audit
from cloud.registry.models import Tries
from cloud.registry.parts import parts

_SUBNET_BITS = 64


def check(gateway_id: str, peer: str) -> None:
    """Go on if there were few refusals lately.

    Raises:
        RefusedError: "too-many-tries", status 429.
    """
    if _are_too_many(gateway_id, peer):
        raise _too_many(peer)


@contextmanager
def counted(action: str, gateway_id: str, peer: str) -> Iterator[None]:
    """Count what is refused within, and begin only if there was little of it lately.

    Raises:
        RefusedError: As `check`, or what is raised within.
    """
    check(gateway_id, peer)
    try:
        yield
    except RefusedError:
        note(gateway_id, peer, action)
        raise


@contextmanager
def bounded(action: str, gateway_id: str, peer: str) -> Iterator[None]:
    """Count what is refused within, but begin always: who proves a key is not kept out by his neighbours.

    Raises:
        RefusedError: What is raised within, or as `check` instead of it.
    """
    try:
        yield
    except RefusedError:
        if _are_too_many(gateway_id, peer):
            raise _too_many(peer) from None
        note(gateway_id, peer, action)
        raise


@contextmanager
def watched(action: str, subject: str, peer: str) -> Iterator[None]:
    """Record what is refused within before it comes to a service, but no flood of it.

    Raises:
        RefusedError: As `bounded`.
    """
    with audit.refusals(action, subject, actor="gateway", peer=peer), bounded(action, subject, peer):
        yield


def _are_too_many(gateway_id: str, peer: str) -> bool:
    now = parts().now()
    return any(
        Tries.objects.filter(key=key, since__gt=_since(now), since__lte=now, count__gte=limit).exists()
        for key, limit in _limits(gateway_id, peer)
    )


def _too_many(peer: str) -> RefusedError:
    wait_min = -(-parts().enrolment.tries_window_s // 60)
    return RefusedError(audit.TOO_MANY, f"too many refusals from {peer or 'there'}; wait {wait_min} min", 429)


def note(gateway_id: str, peer: str, action: str = "enrol") -> None:
    """Count a refusal; the one that reaches a limit is told in the audit trail."""
    now = parts().now()
    with transaction.atomic():
        Tries.objects.filter(Q(since__lte=_since(now)) | Q(since__gt=now)).delete()  # the clock may go back
        for key, limit in _limits(gateway_id, peer):
            Tries.objects.get_or_create(key=key, defaults={"since": now, "count": 0})
            Tries.objects.filter(key=key).update(count=F("count") + 1)
            if Tries.objects.get(key=key).count == limit:
                audit.record(
                    action,
                    gateway_id,
                    actor="gateway",
                    outcome=audit.REFUSED,
                    reason=audit.TOO_MANY,
                    peer=peer,
                )


def _limits(gateway_id: str, peer: str) -> tuple[tuple[str, int], ...]:
    enrolment = parts().enrolment
    from_peer = _network(audit.clean(peer, 64))
    return (
        (f"{from_peer} {audit.clean(gateway_id, 64)}", enrolment.tries),
        (from_peer, enrolment.peer_tries),
    )


def _network(peer: str) -> str:
    """Return what an address is counted as."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.IPv6Network((int(address), _SUBNET_BITS), strict=False))


def _since(now: datetime) -> datetime:
    return now - timedelta(seconds=parts().enrolment.tries_window_s)
