"""The CRLs: made from the database, written in one step, taken over by the broker."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from cryptography import x509
from django.db import transaction

from cloud.ca import certificates, crl
from cloud.ca.authority import Revoked
from cloud.ca.files import PUBLIC, write
from cloud.errors import SetupError
from cloud.registry.models import Certificate, CrlNumber
from cloud.registry.parts import parts
from cloud.registry.restored import forgotten
from cloud.registry.settle import failed

Lists: TypeAlias = list[x509.CertificateRevocationList]

_AFTER_END = timedelta(days=1)
"""Entries stay a little longer than their certificates: RFC 5280 section 3.3, and slow clocks."""


@dataclass(frozen=True, slots=True)
class CrlReport:
    """What was published.

    Args:
        number: Of the lists.
        entries: Revoked certificates of gateways and services.
        size_bytes: Of the file.
        next_update: Until when it holds.
        warning: What a person has to look into; "" if nothing.
    """

    number: int
    entries: int
    size_bytes: int
    next_update: datetime
    warning: str = ""


def publish_crl() -> CrlReport:
    """Make new CRLs, write them to the home, and have the broker follow them.

    Raises:
        SignerError: The authority cannot sign; the former lists hold on.
        BrokerError: They are written, but the broker does not follow them yet.
    """
    with _alone():
        report, pem = _write()
        _install(pem, report.number)
    return report


def refresh_crl() -> CrlReport | None:
    """Publish if the lists are due, differ from the database, or the broker does not follow them; else None.

    Raises:
        SignerError: As `publish_crl`.
        BrokerError: As `publish_crl`.
    """
    with _alone():
        if _is_fresh():
            if _is_installed():
                return None
            _install(parts().home.crl_file.read_bytes(), _numbers().number)
            return None
        report, pem = _write()
        _install(pem, report.number)
    return report


def write_crl() -> CrlReport:
    """Make new CRLs and write them, for a broker that hangs: `refresh_crl` hands them to it later.

    Raises:
        SignerError: As `publish_crl`.
    """
    with _alone():
        return _write()[0]


def publish_quietly(*, at_broker: bool = True) -> str:
    """Do as `publish_crl` or `write_crl`, but record a failure and return it; "" if there was none."""
    try:
        publish_crl() if at_broker else write_crl()
    except Exception as error:  # noqa: BLE001  # whatever it is, the decision stands
        return failed("crl", "crl", error)
    return ""


def revoked_now() -> list[Revoked]:
    """Return every entry that a list has to have."""
    rows = Certificate.objects.filter(revoked_at__isnull=False, not_after__gt=parts().now() - _AFTER_END)
    return [
        Revoked(issuer, int(serial, 16), at, x509.ReasonFlags(reason))
        for issuer, serial, at, reason in rows.values_list("issuer", "serial", "revoked_at", "revoked_reason")
        if at is not None
    ]


def _write() -> tuple[CrlReport, bytes]:
    """Make and write lists with a new number; a number lost in a crash is never used again."""
    home, former = parts().home, _written()
    now = _begin(former)
    number, is_restored = _next_number(former)
    revoked = revoked_now()
    warning = _tell_restored(former, revoked) if is_restored else ""
    try:
        pem = parts().issuer.crl(revoked, number, now)
        write(home.crl_file, pem, PUBLIC)
    except OSError as error:
        raise SetupError(f"{home.crl_file}: cannot be written: {error.strerror or error}") from None
    end = now + timedelta(days=parts().policy.crl_days)
    return CrlReport(number, len(revoked), len(pem), end, warning), pem


def _tell_restored(former: Lists, revoked: list[Revoked]) -> str:
    """Record that the database is older than the lists, and return what to tell a person."""
    line = "the database is older than the published CRLs, as after a restore"
    missing = forgotten(former, revoked)
    return failed("restored", "database", SetupError(f"{line}; {missing or 'no denial is missing'}"))


def _begin(former: Lists) -> datetime:
    """Return when new lists begin: not before the former ones, for a broker takes older lists for replayed.

    They are dated back (`Policy.backdate_s`), so a clock that was set back by less than that does no harm.
    """
    now = parts().now()
    backdate = timedelta(seconds=parts().policy.backdate_s)
    begun = [each.last_update_utc + backdate for each in former]
    return max([now, *(each for each in begun if each <= now + backdate)])


def _install(pem: bytes, number: int) -> None:
    parts().broker.install_crl(pem)
    CrlNumber.objects.filter(pk=1, installed__lt=number).update(installed=number)


def _next_number(former: Lists) -> tuple[int, bool]:
    """Return a number above any before, and whether the database came back from a backup."""
    published = max(map(crl.number, former), default=0)
    with transaction.atomic():
        row = CrlNumber.objects.select_for_update().get(pk=1)
        is_restored = published > row.number and parts().ca.issuer == "own"
        row.number = max(row.number, published) + 1
        row.save(update_fields=["number"])
    return row.number, is_restored


def _is_fresh() -> bool:
    """Return whether the file is young enough and says what the database says."""
    refresh = timedelta(seconds=parts().policy.crl_refresh_s)
    if parts().ca.issuer == "est":  # what that authority publishes is its own affair
        return time.time() - _written_at_s() < refresh.total_seconds()
    lists = _written()
    if not lists or max(map(crl.number, lists)) != _numbers().number:
        return False
    if any(each.last_update_utc > parts().now() for each in lists):
        return False  # the clock was wrong when they were made: nobody takes them before their time
    end = parts().now() + timedelta(days=parts().policy.crl_days) - refresh
    if any((each.next_update_utc or parts().now()) <= end for each in lists):
        return False
    return _issuing_id() in map(crl.signer_id, lists) and _says_what_the_database_says(lists)


def _says_what_the_database_says(lists: Lists) -> bool:
    listed = {crl.signer_id(each): {entry.serial_number for entry in each} for each in lists}
    wanted: dict[str, set[int]] = {signer: set() for signer in listed}
    for each in revoked_now():
        if each.issuer in wanted:  # not of an authority that was given up: its list is no more
            wanted[each.issuer].add(each.serial)
    return listed == wanted


def _issuing_id() -> str:
    return certificates.key_id(parts().issuer.intermediates()[0])


def _is_installed() -> bool:
    row = _numbers()
    return row.installed == row.number


def _numbers() -> CrlNumber:
    return CrlNumber.objects.get(pk=1)


def _written() -> Lists:
    """Return the intermediates' lists as they are in the home; none if the file is damaged."""
    try:
        lists = crl.read(parts().home.crl_file.read_bytes())
    except (OSError, ValueError):
        return []
    roots = [root.subject for root in parts().issuer.roots()]
    return [each for each in lists if each.issuer not in roots]


def _written_at_s() -> float:
    path = parts().home.crl_file
    return path.stat().st_mtime if path.exists() else 0.0


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other threads and processes from publishing an older state after a newer one."""
    path = parts().home.ca / "crl.lock"
    try:
        lock = path.open("w")
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror or error}") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
