"""Copies of a gateway: of two that go on from the same certificate, one is refused, and that shows."""

from datetime import UTC, datetime, timedelta

import pytest

from cloud.errors import RefusedError
from cloud.registry import lineage, services
from cloud.registry.models import AuditEntry, Certificate, Gateway
from tests.cloud.conftest import Clock
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import Device, enrolled, new_key

pytestmark = pytest.mark.usefixtures("home")
PEER = "192.0.2.7"
SUPERSEDED = "certificate-superseded"


def copy_of(device: Device) -> Device:
    return Device(device.name, key=device.key, chain=list(device.chain))


def reason_of(call: object, *args: object, **named: object) -> str:
    assert callable(call)
    with pytest.raises(RefusedError) as refused:
        call(*args, **named)
    assert AuditEntry.objects.latest("seq").reason == refused.value.reason
    return refused.value.reason


def test_an_old_copy_of_a_card_gets_no_certificate_once_the_gateway_has_moved_on(clock: Clock):
    device = enrolled("gw-1")
    card = copy_of(device)
    device.renew()
    device.renew()
    assert reason_of(card.renew) == SUPERSEDED
    clock.advance(days=100)
    assert reason_of(card.recover) == SUPERSEDED, "rotation would be worth nothing otherwise"
    device.recover()


def test_of_a_gateway_and_its_copy_the_second_to_move_on_is_refused():
    device = enrolled("gw-1")
    card = copy_of(device)
    card.renew()
    device.renew()
    card.renew()
    assert reason_of(device.renew) == SUPERSEDED
    assert reason_of(device.recover) == SUPERSEDED
    card.renew()


def test_a_token_begins_a_new_line_that_no_copy_can_cut_off(clock: Clock):
    device = enrolled("gw-1")
    thief = copy_of(device)
    thief.renew()
    device.with_token()
    device.key = new_key()
    device.enrol()
    for way in (thief.renew, thief.recover):
        assert reason_of(way) == SUPERSEDED
    clock.advance(days=20)
    device.renew()
    device.renew()


def test_answers_that_were_lost_cut_nobody_off(clock: Clock):
    device = Device("gw-1").expected()
    device.enrol()
    device.enrol()  # the first answer was lost
    for _ in range(3):
        first = copy_of(device)
        first.renew()  # lost
        device.renew()
    before = copy_of(device)
    before.renew()  # lost, and then nothing for months
    clock.advance(days=200)
    device.recover()
    device.renew()


def test_an_answer_that_is_recorded_after_its_repetition_cuts_nobody_off():
    device = enrolled("gw-1")
    slow = copy_of(device)
    device.renew()
    slow.renew()  # the first request, which took longer than the second
    device.renew()
    assert reason_of(slow.renew) == SUPERSEDED


def test_a_superseded_certificate_connects_until_it_ends(broker: ModelBroker):
    device = enrolled("gw-1")
    first = device.certificate
    device.renew()
    device.renew()
    broker.connect(first)


def test_a_denial_taken_back_does_not_bring_a_copy_back():
    device = enrolled("gw-1")
    card = copy_of(device)
    device.renew()
    device.renew()
    services.deny("gw-1", actor="cli:test", reason="test")
    services.grant("gw-1", actor="cli:test", reason="test")
    assert reason_of(card.renew) == SUPERSEDED
    device.renew()


def many(name: str, count: int) -> None:
    now = datetime.now(UTC)
    issuer = Certificate.objects.get(name=name).issuer
    Certificate.objects.bulk_create(
        Certificate(
            serial=f"{number:x}",
            issuer=issuer,
            name=name,
            gateway=Gateway.objects.get(pk=name),
            fingerprint=f"{number:064x}",
            key_fingerprint=f"{number:064x}",
            not_before=now,
            not_after=now + timedelta(days=30),
        )
        for number in range(1, count + 1)
    )


def test_a_stolen_gateway_cannot_make_the_crl_long_before_it_is_denied(clock: Clock):
    device, other = enrolled("gw-1"), enrolled("gw-2")
    many("gw-1", lineage.MOST_AT_ONCE - 1)
    error = "too-many-certificates"
    assert reason_of(device.renew) == error
    assert reason_of(device.recover) == error
    assert reason_of(device.enrol) == error, "the time for a retry is long enough for thousands"
    other.renew()
    clock.advance(days=31)
    device.recover()


def test_an_enrolled_gateway_cannot_fill_the_audit_trail():
    device = enrolled("gw-1")
    for _ in range(10):
        with pytest.raises(RefusedError, match="csr-broken"):
            services.renew(device.certificate, b"junk", peer=PEER)
    told = AuditEntry.objects.count()
    with pytest.raises(RefusedError, match="too-many-tries"):
        services.renew(device.certificate, b"junk", peer=PEER)
    assert AuditEntry.objects.count() == told


def test_neighbours_behind_the_same_address_keep_no_gateway_from_renewing_and_recovering():
    """Guests of the building's network, say: its gateways would be cut off when their certificates end."""
    device = enrolled("gw-1")
    for number in range(110):
        with pytest.raises(RefusedError):
            services.enrol("gw-1" if number < 10 else f"gw-{number}", "x" * 26, b"", peer=PEER)
    with pytest.raises(RefusedError, match="too-many-tries"):
        services.enrol("gw-1", "x" * 26, b"", peer=PEER)
    device.renew()
    device.recover()


def test_tries_of_a_clock_that_was_ahead_shut_nobody_out_when_it_is_right_again(clock: Clock):
    device = Device("gw-1").expected()
    clock.advance(days=365)
    for _ in range(10):
        with pytest.raises(RefusedError, match="token-wrong"):
            services.enrol("gw-1", "x" * 26, b"", peer=PEER)
    clock.advance(days=-365)
    device.enrol(peer=PEER)


def test_the_holder_of_a_token_cannot_fill_the_audit_trail():
    device = Device("gw-1").expected()
    for _ in range(10):
        with pytest.raises(RefusedError, match="csr-broken"):
            services.enrol("gw-1", device.secret, b"junk", peer=PEER)
    told = AuditEntry.objects.count()
    for call in (
        lambda: device.enrol(peer=PEER),
        lambda: services.check_token("gw-1", device.secret, peer=PEER),
    ):
        with pytest.raises(RefusedError, match="too-many-tries"):
            call()
    assert AuditEntry.objects.count() == told
    device.enrol(peer="198.51.100.1")


def test_a_broken_proof_counts_as_a_try():
    device = Device("gw-1").expected(attestation="required")
    for _ in range(10):
        services.check_token("gw-1", device.secret, peer=PEER)
        services.note_refused("gw-1", "attest", RefusedError("json", "no JSON", 400), peer=PEER)
    with pytest.raises(RefusedError, match="too-many-tries"):
        services.check_token("gw-1", device.secret, peer=PEER)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
    ],
)
def test_all_addresses_of_an_ipv6_network_are_one_stranger(first: str, second: str, same: bool):
    device = Device("gw-1").expected()
    for _ in range(10):
        with pytest.raises(RefusedError, match="token-wrong"):
            services.enrol("gw-1", "x" * 26, b"", peer=first)
    if same:
        with pytest.raises(RefusedError, match="too-many-tries"):
            device.enrol(peer=second)
    else:
        device.enrol(peer=second)
