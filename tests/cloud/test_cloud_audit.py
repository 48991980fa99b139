"""The audit trail: append-only, chained, one chain however many write."""

import threading
import time

import pytest
from django.db import DatabaseError, connection, transaction

from cloud.errors import RefusedError
from cloud.registry import audit, services
from cloud.registry.models import AuditEntry, AuditHead
from tests.fakes.device import Device, enrolled

pytestmark = pytest.mark.usefixtures("home")
BY = {"actor": "cli:test", "reason": "because"}


def tamper(statement: str, *values: object) -> None:
    """Change the table as somebody would who owns the database file."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER IF EXISTS registry_audit_no_update")
            cursor.execute("DROP TRIGGER IF EXISTS registry_audit_no_delete")
        else:
            cursor.execute("ALTER TABLE registry_auditentry DISABLE TRIGGER ALL")
        cursor.execute(statement, values)


def story() -> None:
    enrolled("gw-1").renew()
    services.deny("gw-1", **BY)
    services.grant("gw-1", **BY)


def test_issuances_and_decisions_are_told_with_who_and_why():
    story()
    told = [(entry.action, entry.actor, entry.outcome) for entry in services.audit_entries(subject="gw-1")]
    assert told == [
        ("grant", "cli:test", "done"),
        ("deny", "cli:test", "done"),
        ("renew", "gateway", "done"),
        ("enrol", "gateway", "done"),
        ("token", "cli:test", "done"),
        ("expect", "cli:test", "done"),
    ]
    deny = services.audit_entries(subject="gw-1")[1]
    assert deny.reason == "because"
    enrolment = services.audit_entries(subject="gw-1")[3]
    assert enrolment.peer == "192.0.2.7"
    assert '"serial": ' in enrolment.detail


def test_the_chain_holds_and_its_end_is_what_the_head_says():
    story()
    verdict = services.verify_audit()
    assert verdict.problem == ""
    assert verdict.entries == AuditEntry.objects.count()
    assert verdict.head == AuditEntry.objects.latest("seq").hash


@pytest.mark.parametrize(
    "statement", ["UPDATE registry_auditentry SET reason = 'nothing'", "DELETE FROM registry_auditentry"]
)
def test_the_database_refuses_to_change_the_trail(statement: str):
    story()
    with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)
    with pytest.raises(DatabaseError, match="append-only"):
        AuditEntry.objects.filter(seq=1).delete()
    assert services.verify_audit().problem == ""


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'nobody'",
        "reason = 'harmless'",
        "subject = 'gw-2'",
        "outcome = 'refused'",
        "detail = ''",
        "peer = ''",
        "at = '2020-01-01 00:00:00+00'",
    ],
)
def test_a_changed_entry_shows(change: str):
    story()
    seq = AuditEntry.objects.get(action="enrol").seq
    tamper(f"UPDATE registry_auditentry SET {change} WHERE seq = %s", seq)  # noqa: S608  # of this test
    verdict = services.verify_audit()
    assert (verdict.entries, verdict.problem) == (seq - 1, f"entry {seq} was changed")


def test_a_removed_entry_shows_in_the_middle_and_at_the_end():
    story()
    last = AuditEntry.objects.latest("seq").seq
    tamper("DELETE FROM registry_auditentry WHERE seq = %s", last)
    assert services.verify_audit().problem == f"entries {last} to {last} are missing at the end"
    tamper("DELETE FROM registry_auditentry WHERE seq = %s", 3)
    assert services.verify_audit().problem == "entry 3 is missing"


def test_an_entry_that_was_changed_with_its_hash_shows_at_the_next_one():
    story()
    entry = AuditEntry.objects.get(action="deny")
    entry.reason = "a better story"
    tamper(
        "UPDATE registry_auditentry SET reason = %s, hash = %s WHERE seq = %s",
        entry.reason,
        audit._hash(entry),
        entry.seq,
    )
    assert services.verify_audit().problem == f"entry {entry.seq + 1} does not follow the one before"


def test_writers_at_the_same_time_keep_one_chain():
    def write(number: int) -> None:
        try:
            for _ in range(20):
                audit.record("test", f"gw-{number}", actor="test")
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert AuditEntry.objects.filter(action="test").count() == 100
    assert services.verify_audit().problem == ""


def test_a_writer_that_waits_for_a_slow_one_comes_after_it():
    begun = threading.Event()

    def slow() -> None:
        try:
            with transaction.atomic():
                audit.record("test", "slow", actor="test")
                begun.set()
                time.sleep(0.3)
        finally:
            connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    begun.wait()
    audit.record("test", "quick", actor="test")
    thread.join()
    told = [entry.subject for entry in services.audit_entries(limit=2)]
    assert told == ["quick", "slow"]
    assert services.verify_audit().problem == ""


def test_what_a_transaction_took_back_was_not_told():
    before = AuditHead.objects.get(pk=1).seq
    with transaction.atomic():
        audit.record("test", "gw-1", actor="test")
        transaction.set_rollback(True)
    assert AuditHead.objects.get(pk=1).seq == before
    assert services.verify_audit().problem == ""


def test_a_refusal_outlives_the_transaction_that_it_undid():
    device = Device("gw-1").expected()
    services.deny("gw-1", **BY)
    with pytest.raises(RefusedError):
        device.enrol()
    entry = services.audit_entries(subject="gw-1", limit=1)[0]
    assert (entry.action, entry.outcome, entry.reason) == ("enrol", "refused", "gateway-denied")


def test_what_strangers_claim_is_cut_and_cleaned():
    with pytest.raises(RefusedError):
        services.enrol("x" * 5000 + "\n\0", "y\x1b[31m" * 1000, b"", peer="p" * 500)
    entry = services.audit_entries(limit=1)[0]
    assert len(entry.subject) == 100
    assert len(entry.peer) == 100
    with pytest.raises(RefusedError):
        services.enrol("gw\x1b[31m\n\0\udcff", "no", b"", peer="192.0.2.7")
    assert services.audit_entries(limit=1)[0].subject == "gw?[31m???"
    assert services.verify_audit().problem == ""
