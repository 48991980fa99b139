"""The CRLs: what they say, that they overlap, that their numbers only rise."""

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from cloud.ca import certificates, crl
from cloud.errors import BrokerError, SetupError
from cloud.home import Home
from cloud.registry import services
from cloud.registry.models import Certificate, CrlNumber, Gateway
from cloud.registry.parts import parts
from tests.cloud.conftest import Clock
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import enrolled
from tests.fakes.handshake import handshake

BY = {"actor": "cli:test", "reason": "because"}


def lists(home: Home) -> list[x509.CertificateRevocationList]:
    return crl.read(home.crl_file.read_bytes())


def listed(home: Home) -> set[int]:
    return {entry.serial_number for each in lists(home) for entry in each}


def test_there_is_one_list_for_the_intermediate_and_one_for_the_root(home: Home):
    intermediate, root = parts().issuer.intermediates()[0], parts().issuer.roots()[0]
    first, second = lists(home)
    assert (first.issuer, second.issuer) == (intermediate.subject, root.subject)
    assert first.is_signature_valid(intermediate.public_key())
    assert second.is_signature_valid(root.public_key())


def test_openssl_refuses_a_denied_gateway_by_them_and_accepts_the_others(home: Home, tmp_path: Path):
    denied, other = enrolled("gw-1"), enrolled("gw-2")
    services.deny("gw-1", **BY)
    assert "certificate revoked" in handshake(home, denied, tmp_path)
    assert handshake(home, other, tmp_path) == ""


def test_a_list_holds_a_week_and_is_made_anew_every_hour(home: Home, clock: Clock, broker: ModelBroker):
    services.publish_crl()
    first = lists(home)[0]
    assert first.next_update_utc is not None
    assert first.next_update_utc - datetime.now(UTC) > timedelta(days=6, hours=23)
    assert services.refresh_crl() is None
    clock.advance(minutes=59)
    assert services.refresh_crl() is None
    clock.advance(minutes=2)
    assert services.refresh_crl() is not None
    assert crl.number(lists(home)[0]) == crl.number(first) + 1
    assert [crl.number(each) for each in broker.crls] == [crl.number(each) for each in lists(home)]


def test_the_roots_list_does_not_end_before_the_root(home: Home):
    root = parts().issuer.roots()[0]
    assert lists(home)[1].next_update_utc == root.not_valid_after_utc


def test_numbers_rise_even_if_the_database_comes_back_from_a_backup(home: Home):
    for _ in range(3):
        services.publish_crl()
    before = crl.number(lists(home)[0])
    CrlNumber.objects.update(number=1, installed=1)
    assert services.publish_crl().number == before + 1


def test_a_list_that_the_database_contradicts_is_replaced(home: Home):
    device = enrolled("gw-1")
    serial = device.certificate.serial_number
    Certificate.objects.filter(name="gw-1").update(
        revoked_at=datetime.now(UTC), revoked_reason="certificateHold"
    )
    assert serial not in listed(home)
    assert services.refresh_crl() is not None
    assert serial in listed(home)


@pytest.mark.parametrize(
    "damage", [b"", b"hello", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"]
)
def test_a_damaged_or_missing_file_is_replaced(home: Home, damage: bytes):
    home.crl_file.write_bytes(damage)
    assert services.refresh_crl() is not None
    home.crl_file.unlink()
    assert services.refresh_crl() is not None
    assert len(lists(home)) == 2


def test_a_broker_that_did_not_follow_gets_the_same_lists_again(home: Home, broker: ModelBroker):
    broker.failing = {"install_crl"}
    with pytest.raises(BrokerError):
        services.publish_crl()
    written = home.crl_file.read_bytes()
    broker.failing = set()
    assert services.refresh_crl() is None
    assert home.crl_file.read_bytes() == written
    assert [crl.number(each) for each in broker.crls] == [crl.number(each) for each in lists(home)]


def test_a_disk_that_takes_nothing_leaves_the_former_lists(home: Home, monkeypatch: pytest.MonkeyPatch):
    before = home.crl_file.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises((SetupError, sqlite3.OperationalError), match="No space left"):
        services.publish_crl()
    monkeypatch.undo()
    assert home.crl_file.read_bytes() == before


def test_ended_certificates_leave_the_list_a_day_after_their_end(home: Home, clock: Clock):
    device = enrolled("gw-1")
    services.deny("gw-1", **BY)
    serial = device.certificate.serial_number
    clock.advance(days=30, hours=23)
    services.publish_crl()
    assert serial in listed(home)
    clock.advance(hours=2)
    services.publish_crl()
    assert serial not in listed(home)


def test_a_clock_that_was_set_back_a_little_makes_no_older_list(home: Home, clock: Clock):
    services.publish_crl()
    before = lists(home)[0].last_update_utc
    clock.advance(minutes=-30)
    services.publish_crl()
    assert lists(home)[0].last_update_utc >= before


def test_the_probes_certificate_is_on_every_list(home: Home):
    leaf = x509.load_pem_x509_certificate(home.cert_file("revoked-probe").read_bytes())
    assert leaf.serial_number in listed(home)
    services.publish_crl()
    assert leaf.serial_number in listed(home)


def test_ten_thousand_revoked_certificates_fit_on_a_list(home: Home):
    issuer = certificates.key_id(parts().issuer.intermediates()[0])
    site = enrolled("gw-1") and Gateway.objects.get(pk="gw-1")
    now = datetime.now(UTC)
    Certificate.objects.bulk_create(
        Certificate(
            serial=f"{number:040x}",
            issuer=issuer,
            name="gw-1",
            gateway=site,
            fingerprint=f"{number:064x}",
            key_fingerprint=f"{number:064x}",
            not_before=now,
            not_after=now + timedelta(days=30),
            revoked_at=now,
            revoked_reason="certificateHold",
        )
        for number in range(2**152, 2**152 + 10_000)
    )
    report = services.publish_crl()
    assert report.entries == 10_001
    assert len(listed(home)) == 10_001
    assert report.size_bytes < 80 * report.entries
    assert services.refresh_crl() is None
