"""At three in the morning: wrong clocks, restored databases, full disks, brokers that others have used."""

import threading
from collections.abc import Callable

import pytest
from cryptography import x509
from django.db import DatabaseError, OperationalError, connection

from cloud.ca import crl
from cloud.errors import BrokerError, RefusedError, SetupError, UnknownError
from cloud.home import Home
from cloud.project.setup import start
from cloud.registry import audit, services, tokens
from cloud.registry.models import AuditEntry, AuditHead, Certificate, CrlNumber, Gateway
from tests.cloud.conftest import Clock
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import Device, enrolled

pytestmark = pytest.mark.usefixtures("home")
BY = {"actor": "cli:test", "reason": "because"}


def lists(home: Home) -> list[x509.CertificateRevocationList]:
    return crl.read(home.crl_file.read_bytes())


# --- the clock --------------------------------------------------------------------------------------


def test_lists_from_the_future_are_replaced_when_the_clock_is_right_again(home: Home, clock: Clock):
    clock.advance(days=30)
    services.publish_crl()
    clock.advance(days=-30)
    assert services.refresh_crl() is not None, "nobody could use them for a month"
    assert lists(home)[0].last_update_utc <= clock.now()


def test_a_denial_holds_with_a_clock_that_was_set_back_or_forward(clock: Clock, broker: ModelBroker):
    device = enrolled("gw-1")
    services.deny("gw-1", **BY)
    for days in (-400, 800, -400):
        clock.advance(days=days)
        services.reconcile()
        with pytest.raises(RefusedError):
            device.renew()
        with pytest.raises(RefusedError):
            device.recover()
        assert "gw-1" not in broker.access
    with pytest.raises(ConnectionRefusedError, match="revoked"):
        broker.connect(device.certificate)


def test_a_gateway_whose_certificate_ended_while_it_was_denied_recovers_after_the_grant(clock: Clock):
    device = enrolled("gw-1")
    services.deny("gw-1", **BY)
    clock.advance(days=60)
    services.grant("gw-1", **BY)
    device.recover()


# --- a database from a backup -----------------------------------------------------------------------


def test_a_database_that_forgot_a_denial_is_noticed(home: Home, broker: ModelBroker):
    kept, lost = enrolled("gw-1"), enrolled("gw-2")
    services.deny("gw-1", **BY)
    services.deny("gw-2", **BY)
    # as a backup from before: gw-1 enrolled, gw-2 with a certificate that it does not know
    Gateway.objects.update(state="enrolled")
    Certificate.objects.filter(gateway__isnull=False).update(revoked_at=None, revoked_reason="")
    Certificate.objects.filter(name="gw-2").delete()
    CrlNumber.objects.update(number=1, installed=1)
    report = services.reconcile()
    [problem] = report.problems
    assert problem == (
        "the database is older than the published CRLs, as after a restore; "
        "deny again: gw-1; 1 revoked certificates are unknown to it"
    )
    entry = AuditEntry.objects.get(action="restored")
    assert (entry.outcome, entry.reason) == ("failed", problem)
    assert services.reconcile().problems == (), "said once"
    assert kept.name != lost.name


@pytest.mark.usefixtures("home")
def test_nothing_is_said_of_a_restore_when_there_was_none():
    for _ in range(3):
        assert services.publish_crl().warning == ""


# --- a disk that is full, a database that is locked -------------------------------------------------


def broken_trail(*_: object, **__: object) -> None:
    raise OperationalError("database or disk is full")


def test_a_trail_that_cannot_be_written_does_not_keep_the_crl_from_denying(
    broker: ModelBroker, monkeypatch: pytest.MonkeyPatch
):
    device = enrolled("gw-1")
    broker.failing = {"deny"}
    record = audit.record
    monkeypatch.setattr(
        audit,
        "record",
        lambda action, *a, **k: (broken_trail if action == "broker" else record)(action, *a, **k),
    )
    with pytest.raises(BrokerError, match="nor can that be recorded: database or disk is full"):
        services.deny("gw-1", **BY)
    with pytest.raises(ConnectionRefusedError, match="revoked"):
        broker.connect(device.certificate)


def test_a_full_disk_grants_and_uses_up_nothing(monkeypatch: pytest.MonkeyPatch):
    device = Device("gw-1").expected()
    with monkeypatch.context() as patch:
        patch.setattr(audit, "record", broken_trail)
        with pytest.raises(DatabaseError):
            device.enrol()
    assert not Certificate.objects.filter(name="gw-1").exists()
    assert services.find("gw-1").state == "expected"
    device.enrol()
    assert services.verify_audit().problem == ""


@pytest.mark.usefixtures("home")
def test_a_locked_database_answers_after_a_while_and_nothing_is_half_done():
    device = Device("gw-1").expected()
    is_sqlite = connection.vendor == "sqlite"
    other = connection.copy()
    with connection.cursor() as ours, other.cursor() as theirs:
        ours.execute("PRAGMA busy_timeout = 100" if is_sqlite else "SET lock_timeout = '100ms'")
        theirs.execute("BEGIN IMMEDIATE" if is_sqlite else "BEGIN")
        theirs.execute("UPDATE registry_audithead SET seq = seq")
        with pytest.raises(OperationalError, match="lock"):
            device.enrol()
        theirs.execute("ROLLBACK")
    other.close()
    assert not Certificate.objects.filter(name="gw-1").exists()
    device.enrol()


# --- a broker that others use -----------------------------------------------------------------------


def test_a_stranger_that_cannot_be_removed_does_not_keep_denied_ones_in(
    broker: ModelBroker, monkeypatch: pytest.MonkeyPatch
):
    enrolled("zz")
    services.deny("zz", **BY)
    missing = enrolled("gw-1")
    broker.access = {"Strange Name", "zz"}
    deny = broker.deny

    def picky(gateway_id: str) -> None:
        if " " in gateway_id:
            raise BrokerError(f"{gateway_id!r} is no gateway id")
        deny(gateway_id)

    monkeypatch.setattr(broker, "deny", picky)
    report = services.reconcile()
    assert (report.granted, report.denied) == (("gw-1",), ("zz",))
    assert report.problems == ("'Strange Name' is no gateway id",)
    broker.connect(missing.certificate)


def test_a_gateway_denied_while_thousands_are_granted_is_not_in_until_the_end(
    broker: ModelBroker, monkeypatch: pytest.MonkeyPatch
):
    enrolled("gw-0")
    gateway = Gateway.objects.get(pk="gw-0")
    for number in range(1, 301):
        gateway.pk = f"gw-{number:03}"
        gateway.save(force_insert=True)
    broker.access = set()
    grant_all, in_later = broker.grant_all, []

    def slow(ids: list[str]) -> None:
        in_later.append("gw-001" in broker.access)
        if not in_later[1:]:
            services.deny("gw-001", **BY)
        grant_all(ids)

    monkeypatch.setattr(broker, "grant_all", slow)
    services.reconcile()
    assert len(in_later) > 2
    assert not any(in_later)
    assert len(broker.access) == 300


def test_no_gateway_takes_the_name_of_a_host_or_of_the_brokers_administrator(home: Home):
    with pytest.raises(RefusedError, match="a service or host of ours"):
        services.expect("localhost", site="Tower", actor="cli:test")
    home.settings_file.write_text(
        home.settings_file.read_text() + '\n[broker]\nkind = "rabbitmq"\napi_user = "boss"\n'
    )
    start(home)
    for name in ("boss", "guest", "broker"):
        with pytest.raises(RefusedError, match="a service or host of ours"):
            services.expect(name, site="Tower", actor="cli:test")


# --- the trail --------------------------------------------------------------------------------------


def test_a_trail_that_grows_while_it_is_verified_is_sound(monkeypatch: pytest.MonkeyPatch):
    enrolled("gw-1")
    entry_hash = audit._hash
    seen: list[int] = []

    def slow(entry: AuditEntry) -> str:
        if not seen:
            seen.append(entry.seq)
            thread = threading.Thread(target=write)
            thread.start()
            thread.join()
        return entry_hash(entry)

    def write() -> None:
        try:
            audit.record("test", "gw-1", actor="another process")
        finally:
            connection.close()

    monkeypatch.setattr(audit, "_hash", slow)
    assert services.verify_audit().problem == ""
    assert seen


def test_a_head_kept_elsewhere_shows_that_the_end_was_cut_off():
    enrolled("gw-1")
    kept = services.verify_audit().head
    services.deny("gw-1", **BY)
    assert services.verify_audit(kept).problem == ""
    cut = AuditEntry.objects.get(hash=kept).seq
    before = AuditEntry.objects.get(seq=cut - 1)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER registry_audit_no_delete")
        else:
            cursor.execute("ALTER TABLE registry_auditentry DISABLE TRIGGER ALL")
    AuditEntry.objects.filter(seq__gte=cut).delete()
    AuditHead.objects.update(seq=before.seq, hash=before.hash)
    assert services.verify_audit().problem == "", "by itself it cannot show"
    assert "the head that was kept elsewhere is not in it" in services.verify_audit(kept).problem


def test_an_entry_smuggled_in_after_the_end_shows():
    enrolled("gw-1")
    last = AuditEntry.objects.latest("seq")
    last.seq += 5
    last.save(force_insert=True)
    assert "entries after" in services.verify_audit().problem


@pytest.mark.parametrize(
    "decide", [services.deny, services.grant, services.retire, services.replace_hardware]
)
def test_a_decision_about_nobody_is_told(decide: Callable[..., Gateway]):
    with pytest.raises(UnknownError):
        decide("gw-9", **BY)
    entry = AuditEntry.objects.latest("seq")
    assert (entry.subject, entry.actor, entry.outcome, entry.reason) == (
        "gw-9", "cli:test", "refused", "gateway-unknown",
    )  # fmt: skip


# --- tokens -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("valid_for_s", [0, -5, tokens.LONGEST_S + 1, 10**18])
def test_a_token_that_would_be_good_for_ever_or_never_is_not_made(valid_for_s: int):
    services.expect("gw-1", site="Tower", actor="cli:test")
    with pytest.raises(SetupError, match="a token cannot be good for"):
        services.new_token("gw-1", valid_for_s=valid_for_s, actor="cli:test")
