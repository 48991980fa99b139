"""The audit trail: append-only, each entry sealed with the hash of the one before.

The database refuses to change or delete entries (triggers); whoever gets round that breaks the chain, which
`verify` shows. Who owns the database can cut off its end, or make it anew as a whole: only the head of an
earlier verification, kept elsewhere and given to `verify`, shows that.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC

from django.db import transaction

from cloud.errors import RefusedError, UnknownError
from cloud.registry.models import AuditEntry, AuditHead
from cloud.registry.parts import parts

DONE, REFUSED, FAILED = "done", "refused", "failed"
BEGIN = "0" * 64
TOO_MANY = "too-many-tries"
UNKNOWN = "gateway-unknown"

_SHORT, _LONG = 100, 200


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verification found.

    Args:
        entries: Sound entries before the first problem.
        head: Hash of the last sound one.
        problem: In words; "" if there is none.
    """

    entries: int
    head: str
    problem: str = ""


def record(  # noqa: PLR0913  # the columns of the trail
    action: str,
    subject: str,
    *,
    actor: str,
    outcome: str = DONE,
    reason: str = "",
    peer: str = "",
    **detail: str | int | bool | list[str],
) -> AuditEntry:
    """Add an entry, in the transaction of what it tells about if there is one.

    Args:
        action: A verb, e.g. "deny".
        subject: What it was done to, e.g. a gateway's id (or one that somebody claimed).
        actor: Who: "cli:NAME", "gateway", "cloud".
        outcome: `DONE`, `REFUSED` or `FAILED`.
        reason: Why: a stable code for refusals, a person's words otherwise.
        peer: Address of the other side.
        detail: Further facts; never a secret.
    """
    with transaction.atomic():
        head = AuditHead.objects.select_for_update().get(pk=1)
        entry = AuditEntry(
            seq=head.seq + 1,
            at=parts().now(),
            actor=clean(actor, _SHORT),
            action=action,
            subject=clean(subject, _SHORT),
            outcome=outcome,
            reason=clean(reason, _LONG),
            peer=clean(peer, _SHORT),
            detail=json.dumps(detail, sort_keys=True) if detail else "",
            previous=head.hash,
        )
        entry.hash = _hash(entry)
        entry.save(force_insert=True)
        head.seq, head.hash = entry.seq, entry.hash
        head.save()
    return entry


def lock() -> None:
    """Let no other transaction record anything before this one ends; it needs one, and this first of all.

    What is checked after it holds until the end, and locks taken in this order cannot block each other.
    """
    AuditHead.objects.select_for_update().get(pk=1)


@contextmanager
def refusals(action: str, subject: str, *, actor: str, peer: str = "") -> Iterator[None]:
    """Record a refusal that is raised within, after its own transaction was undone."""
    try:
        yield
    except RefusedError as error:
        if error.reason != TOO_MANY:  # recorded once by `tries`: a flood must not fill the disk
            refused(action, subject, error, actor=actor, peer=peer)
        raise
    except UnknownError:
        record(action, subject, actor=actor, outcome=REFUSED, reason=UNKNOWN, peer=peer)
        raise


def refused(action: str, subject: str, error: RefusedError, *, actor: str, peer: str = "") -> None:
    """Record one refusal."""
    record(
        action, subject, actor=actor, outcome=REFUSED, reason=error.reason, peer=peer,
        said=clean(error.detail, _LONG),
    )  # fmt: skip


def entries(*, subject: str | None = None, limit: int = 50) -> list[AuditEntry]:
    """Return the latest entries, the newest first."""
    found = AuditEntry.objects.order_by("-seq")
    if subject is not None:
        found = found.filter(subject=subject)
    return list(found[:limit])


def verify(kept: str = "") -> Verdict:
    """Read the whole chain and return the first thing that is wrong with it.

    Args:
        kept: The head that an earlier verification gave, kept elsewhere; "" if nobody did.
    """
    head = AuditHead.objects.get(pk=1)  # before the entries: others may add some while these are read
    sound, previous, has_kept = 0, BEGIN, kept in ("", BEGIN)
    for entry in AuditEntry.objects.filter(seq__lte=head.seq).order_by("seq").iterator(chunk_size=1000):
        if entry.seq != sound + 1:
            return Verdict(sound, previous, f"entry {sound + 1} is missing")
        if entry.previous != previous:
            return Verdict(sound, previous, f"entry {entry.seq} does not follow the one before")
        if entry.hash != _hash(entry):
            return Verdict(sound, previous, f"entry {entry.seq} was changed")
        sound, previous = entry.seq, entry.hash
        has_kept = has_kept or entry.hash == kept
    return Verdict(sound, previous, _end_problem(head, sound, previous, has_kept=has_kept))


def _end_problem(head: AuditHead, sound: int, last: str, *, has_kept: bool) -> str:
    """Return what is wrong with a chain whose entries are sound; "" if nothing is."""
    if head.seq != sound:
        return f"entries {sound + 1} to {head.seq} are missing at the end"
    if head.hash != last:
        return f"entry {sound} is not the one that was written"
    if AuditEntry.objects.filter(seq__gt=AuditHead.objects.filter(pk=1).values("seq")[:1]).exists():
        return f"there are entries after {sound} that nobody wrote in the regular way"
    if not has_kept:
        return (
            "the head that was kept elsewhere is not in it: entries were cut off, or the whole was made anew"
        )
    return ""


def _hash(entry: AuditEntry) -> str:
    fields = [
        entry.seq,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.actor,
        entry.action,
        entry.subject,
        entry.outcome,
        entry.reason,
        entry.peer,
        entry.detail,
        entry.previous,
    ]
    return hashlib.sha256(json.dumps(fields, separators=(",", ":")).encode()).hexdigest()


def clean(text: str, length: int) -> str:
    """Return text of strangers without control characters, and not too long."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[: length + 1])[:length]
