"""New certificates for old ones, proofs of a TPM, and the way back after expiry."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.ca import certificates
from cloud.ca.profile import Profile
from cloud.errors import RefusedError
from cloud.home import Home
from cloud.registry import services
from cloud.registry.models import AuditEntry, Gateway, Recovery
from tests.cloud.conftest import Clock
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import Device, csr_der, enrolled, new_key, public_der

pytestmark = pytest.mark.usefixtures("home")
PEER = "192.0.2.7"
EK, OTHER_EK = hashlib.sha256(b"ek").hexdigest(), hashlib.sha256(b"another ek").hexdigest()


def reason_of(call: object, *args: object, **named: object) -> str:
    """Return why a call is refused, having seen that the audit trail says the same."""
    assert callable(call)
    with pytest.raises(RefusedError) as refused:
        call(*args, **named)
    entry = services.audit_entries(limit=1)[0]
    assert (entry.outcome, entry.reason) == ("refused", refused.value.reason)
    return refused.value.reason


def forged(name: str, serial: int | None = None) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Return a certificate of another authority, as like ours as can be."""
    key, own = new_key(), new_key()
    now = datetime.now(UTC)
    root = certificates.root(key, "reed root", now, 30)
    profile = Profile(name, (name,), False, now - timedelta(hours=1), now + timedelta(days=30))
    leaf = certificates.leaf(own.public_key(), profile, (root, key))
    if serial is not None:
        builder = x509.CertificateBuilder(
            leaf.issuer, leaf.subject, own.public_key(), serial, profile.not_before, profile.not_after
        )
        leaf = builder.sign(key, hashes.SHA256())
    return leaf, own


# --- renewal ----------------------------------------------------------------------------------------


def test_a_certificate_and_its_key_are_renewed_by_the_old_pair(broker: ModelBroker):
    device = enrolled("gw-1")
    old = device.certificate
    new = device.renew()
    assert new.public_key() != old.public_key()
    broker.connect(new)
    broker.connect(old)  # it goes on until its end: the new pair may not work on site


def test_a_key_may_be_certified_again():
    device = enrolled("gw-1")
    device.renew(device.key)


def test_a_certificate_of_another_authority_renews_nothing():
    device = enrolled("gw-1")
    leaf, _ = forged("gw-1")
    assert reason_of(services.renew, leaf, csr_der(new_key(), "gw-1"), peer=PEER) == "certificate-unknown"
    twin, _ = forged("gw-1", device.certificate.serial_number)
    assert reason_of(services.renew, twin, csr_der(new_key(), "gw-1"), peer=PEER) == "certificate-unknown"


def test_a_gateway_cannot_renew_for_another_one():
    device, _ = enrolled("gw-1"), enrolled("gw-2")
    request = csr_der(new_key(), "gw-2")
    assert reason_of(services.renew, device.certificate, request, peer=PEER) == "csr-name"


def test_a_gateway_cannot_take_the_key_of_another_one():
    device, other = enrolled("gw-1"), enrolled("gw-2")
    assert reason_of(device.renew, other.key) == "key-held"


def test_an_expired_certificate_does_not_renew(clock: Clock):
    device = enrolled("gw-1")
    clock.advance(days=30)
    assert reason_of(device.renew) == "certificate-expired"


def test_our_services_certificates_renew_no_gateway(home: Home):
    leaf = x509.load_pem_x509_certificates(home.cert_file("ingest").read_bytes())[0]
    assert reason_of(services.renew, leaf, csr_der(new_key(), "ingest"), peer=PEER) == "certificate-service"


def test_the_holder_of_a_certificate_is_known():
    device = enrolled("gw-1")
    assert services.holder(device.certificate).pk == "gw-1"
    services.deny("gw-1", actor="cli:test", reason="test")
    with pytest.raises(RefusedError, match="gateway-denied"):
        services.holder(device.certificate)


# --- attestation ------------------------------------------------------------------------------------


def test_where_policy_asks_a_proof_only_the_proven_key_is_certified(clock: Clock):
    device = Device("gw-1").expected(attestation="required")
    assert reason_of(device.enrol) == "attestation-missing"
    services.note_attested("gw-1", EK, public_der(new_key()), peer=PEER)
    assert reason_of(device.enrol) == "attestation-other-key"
    services.note_attested("gw-1", EK, public_der(device.key), peer=PEER)
    clock.advance(minutes=5)
    assert reason_of(device.enrol) == "attestation-stale"
    services.note_attested("gw-1", EK, public_der(device.key), peer=PEER)
    device.enrol()


def test_a_proof_is_good_for_one_enrolment_but_not_for_its_lost_answer():
    device = Device("gw-1").expected(attestation="required")
    services.note_attested("gw-1", EK, public_der(device.key), peer=PEER)
    device.enrol()
    device.enrol()  # the same key, whose first answer was lost
    device.with_token()
    assert reason_of(device.enrol) == "attestation-missing"


@pytest.mark.parametrize("again", [Device.renew, Device.recover])
def test_a_later_certificate_asks_for_the_proof_of_its_own_key(
    clock: Clock, again: Callable[[Device, ec.EllipticCurvePrivateKey], x509.Certificate]
):
    device, new = Device("gw-1").expected(attestation="required"), new_key()
    services.note_attested("gw-1", EK, public_der(device.key), peer=PEER)
    device.enrol()
    assert reason_of(again, device, new) == "attestation-missing"
    services.note_attested("gw-1", EK, public_der(device.key), binds=False, peer=PEER)
    assert reason_of(again, device, new) == "attestation-other-key"
    services.note_attested("gw-1", EK, public_der(new), binds=False, peer=PEER)
    clock.advance(minutes=5)
    assert reason_of(again, device, new) == "attestation-stale"
    services.note_attested("gw-1", EK, public_der(new), binds=False, peer=PEER)
    again(device, new)
    assert reason_of(again, device, new_key()) == "attestation-missing"


def test_a_policy_that_comes_later_counts_from_the_next_renewal():
    device = enrolled("gw-1")
    services.expect("gw-1", site="Tower", attestation="required", actor="cli:test")
    assert reason_of(device.renew) == "attestation-missing"
    assert reason_of(services.check_ek, "gw-1", EK, binds=False, peer=PEER) == "ek-unbound"
    services.expect("gw-1", site="Tower", attestation="none", actor="cli:test")
    device.renew()


def test_a_tpm_belongs_to_one_gateway():
    first, second = enrolled("gw-1"), Device("gw-2").expected()
    services.note_attested("gw-1", EK, public_der(first.key), peer=PEER)
    assert reason_of(services.check_ek, "gw-2", EK, peer=PEER) == "ek-bound"
    assert reason_of(services.note_attested, "gw-2", EK, public_der(second.key), peer=PEER) == "ek-bound"


def test_a_gateway_keeps_its_tpm_until_an_operator_says_that_it_was_replaced():
    device = enrolled("gw-1")
    services.note_attested("gw-1", EK, public_der(device.key), peer=PEER)
    assert reason_of(services.check_ek, "gw-1", OTHER_EK, peer=PEER) == "ek-changed"
    services.replace_hardware("gw-1", actor="cli:test", reason="board broken")
    services.check_ek("gw-1", OTHER_EK, peer=PEER)
    services.note_attested("gw-1", OTHER_EK, public_der(device.key), peer=PEER)
    assert services.find("gw-1").ek_fingerprint == OTHER_EK


# --- recovery ---------------------------------------------------------------------------------------


def test_who_holds_the_key_of_an_expired_certificate_gets_back_in(clock: Clock, broker: ModelBroker):
    device = enrolled("gw-1")
    clock.advance(days=200)
    services.publish_crl()
    broker.connect(device.recover())


def test_recovery_ends_with_the_policys_patience(clock: Clock):
    device = enrolled("gw-1")
    clock.advance(days=30 + 365, seconds=1)
    assert reason_of(device.recover) == "certificate-too-old"


@pytest.mark.parametrize("decide", [services.deny, services.retire])
def test_nobody_recovers_from_a_denial(decide: Callable[..., Gateway]):
    device = enrolled("gw-1")
    decide("gw-1", actor="cli:test", reason="test")
    assert reason_of(device.recover).startswith("gateway-")


def test_a_denial_in_the_middle_of_a_recovery_counts():
    device = enrolled("gw-1")
    begun = services.begin_recovery(device.certificate, peer=PEER)
    services.deny("gw-1", actor="cli:test", reason="test")
    reason = reason_of(services.finish_recovery, begun.id, csr_der(new_key(), "gw-1"), b"", peer=PEER)
    assert reason == "gateway-denied"


def test_recovery_needs_the_old_key():
    device = enrolled("gw-1")
    thief = Device("gw-1", chain=device.chain)
    assert reason_of(thief.recover) == "recovery-signature"


def test_a_signature_over_another_request_recovers_nothing():
    device = enrolled("gw-1")
    begun = services.begin_recovery(device.certificate, peer=PEER)
    signed = b"reed-recovery-v1\0" + begun.nonce + csr_der(new_key(), "gw-1")
    signature = device.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    reason = reason_of(services.finish_recovery, begun.id, csr_der(new_key(), "gw-1"), signature, peer=PEER)
    assert reason == "recovery-signature"


def test_a_nonce_is_good_once_and_for_minutes(clock: Clock):
    device = enrolled("gw-1")
    key, request = new_key(), b""
    begun = services.begin_recovery(device.certificate, peer=PEER)
    request = csr_der(key, "gw-1")
    signature = device.key.sign(b"reed-recovery-v1\0" + begun.nonce + request, ec.ECDSA(hashes.SHA256()))
    services.finish_recovery(begun.id, request, signature, peer=PEER)
    replayed = (begun.id, request, signature)
    assert reason_of(services.finish_recovery, *replayed, peer=PEER) == "recovery-unknown"
    late = services.begin_recovery(device.certificate, peer=PEER)
    clock.advance(minutes=6)
    assert reason_of(services.finish_recovery, late.id, request, b"", peer=PEER) == "recovery-unknown"


@pytest.mark.parametrize("recovery_id", ["", "0" * 32, "x" * 1000, "\0"])
def test_an_invented_recovery_is_refused(recovery_id: str):
    reason = reason_of(services.finish_recovery, recovery_id, b"", b"", peer=PEER)
    assert reason == "recovery-unknown"


def test_a_flood_of_recoveries_leaves_no_heap():
    device = enrolled("gw-1")
    for _ in range(30):
        begun = services.begin_recovery(device.certificate, peer=PEER)
    assert Recovery.objects.count() == 20
    assert Recovery.objects.filter(pk=begun.id).exists()


def test_a_certificate_of_another_authority_recovers_nothing():
    enrolled("gw-1")
    leaf, _ = forged("gw-1")
    assert reason_of(services.begin_recovery, leaf, peer=PEER) == "certificate-unknown"


def test_a_flood_of_refused_recoveries_does_not_fill_the_audit_trail():
    leaf, _ = forged("gw-1")
    for _ in range(10):
        assert reason_of(services.begin_recovery, leaf, peer=PEER) == "certificate-unknown"
    told = AuditEntry.objects.count()
    with pytest.raises(RefusedError, match="too-many-tries"):
        services.begin_recovery(leaf, peer=PEER)
    assert AuditEntry.objects.count() == told
