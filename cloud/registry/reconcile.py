"""Has broker and CRLs follow the database, whatever was missed: after a crash, a failure, a restore."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cloud.brokers.interface import drift
from cloud.errors import BrokerError
from cloud.registry import audit
from cloud.registry.models import Gateway, State
from cloud.registry.parts import parts
from cloud.registry.revocation import CrlReport, refresh_crl
from cloud.registry.settle import failed_again, recovered, settle, settle_quietly

_BATCH = 100
_HOPELESS = 3
"""After so many failures the broker itself is in trouble; each may have taken its time-out."""


@dataclass(frozen=True, slots=True)
class Report:
    """What had to be put right.

    Args:
        granted: Gateways that the broker had not let in.
        denied: Gateways that it had, and should not.
        crl: The new lists, if there are any.
        problems: What failed; it is tried again next time.
    """

    granted: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    crl: CrlReport | None = None
    problems: tuple[str, ...] = ()


def reconcile() -> Report:
    """Compare and put right; trouble with broker or authority is not raised, but reported and recorded."""
    granted: list[str] = []
    denied: list[str] = []
    problems: list[str] = []
    crl = None
    try:
        problems += _reconcile_broker(granted, denied)
        recovered("reconcile", "broker")
    except Exception as error:  # noqa: BLE001  # the CRL must be tried whatever it is
        problems.append(failed_again("reconcile", "broker", error))
    try:
        crl = refresh_crl()
        problems += [crl.warning] if crl is not None and crl.warning else []
        recovered("reconcile", "crl")
    except Exception as error:  # noqa: BLE001  # as above
        problems.append(failed_again("reconcile", "crl", error))
    if granted or denied:
        audit.record("reconcile", "broker", actor="cloud", granted=granted, denied=denied)
    return Report(tuple(granted), tuple(denied), crl, tuple(problems))


def _reconcile_broker(granted: list[str], denied: list[str]) -> list[str]:
    """Deny one by one, at once; grant in bulk. What was done is noted in the lists even if the rest fails.

    Returns:
        What failed for single ones: none of them keeps the others from being denied.
    """
    broker = parts().broker
    enrolled = _enrolled()
    found = drift(enrolled, broker.granted(), broker.present(_known() - enrolled))
    problems: list[str] = []
    for gateway_id in sorted(found.surplus):
        problem = settle_quietly(gateway_id, tell=failed_again)
        if problem:
            problems.append(problem)
        else:
            denied.append(gateway_id)
        if len(problems) >= _HOPELESS:
            return problems
    for batch in _batches(sorted(found.missing)):
        try:
            broker.grant_all(batch)
            granted.extend(batch)
        except BrokerError as error:  # one whom it does not take keeps no other batch out
            problems.append(failed_again("reconcile", batch[0], error))
        for gateway_id in set(batch) - _enrolled():  # denied while they were granted
            settle(gateway_id)
        if len(problems) >= _HOPELESS:
            break
    return problems


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split what takes a broker minutes, so that who is denied meanwhile is not in for minutes."""
    for start in range(0, len(ids), _BATCH):
        yield ids[start : start + _BATCH]


def _known() -> set[str]:
    return set(Gateway.objects.values_list("pk", flat=True))


def _enrolled() -> set[str]:
    return set(Gateway.objects.filter(state=State.ENROLLED).values_list("pk", flat=True))
