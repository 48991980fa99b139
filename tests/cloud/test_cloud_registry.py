"""Who may become a gateway: tokens, requests, keys, proofs."""

import base64
import hashlib
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from django.db import connection

from cloud.errors import RefusedError, SignerError, UnknownError
from cloud.home import Home
from cloud.registry import services
from cloud.registry.models import AuditEntry, Certificate, Token
from cloud.registry.parts import parts
from tests.cloud.conftest import Clock
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import Device, csr_der, enrolled, new_key, public_der

pytestmark = pytest.mark.usefixtures("home")
PEER = "192.0.2.7"


def refusal(of: Device, **changed: object) -> RefusedError:
    """Return why an enrolment is refused."""
    given = {"secret": of.secret, "csr": csr_der(of.key, of.name), "name": of.name, **changed}
    with pytest.raises(RefusedError) as refused:
        services.enrol(str(given["name"]), str(given["secret"]), bytes(given["csr"]), peer=PEER)  # type: ignore[call-overload]
    return refused.value


def last_entry() -> AuditEntry:
    return services.audit_entries(limit=1)[0]


def race(calls: list[Callable[[], object]]) -> list[str]:
    """Make the calls at the same time, each in a thread; return "won" or why it was refused, of each."""
    outcomes: list[str] = []
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        gate.wait()
        try:
            call()
            outcomes.append("won")
        except RefusedError as error:
            outcomes.append(error.reason)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


# --- the good case ----------------------------------------------------------------------------------


def test_a_token_buys_one_certificate_that_the_broker_accepts(broker: ModelBroker):
    device = Device("gw-1").expected()
    leaf = device.enrol()
    broker.connect(leaf)
    assert broker.live == {"gw-1"}
    assert services.find("gw-1").state == "enrolled"
    assert leaf.public_key() == device.key.public_key()


def test_the_certificate_says_what_the_protocol_promises():
    device = enrolled("gw-1")
    leaf, intermediate = device.chain
    assert leaf.subject.rfc4514_string() == "CN=gw-1"
    found = leaf.extensions
    assert list(found.get_extension_for_class(x509.SubjectAlternativeName).value) == [x509.DNSName("gw-1")]
    assert list(found.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        x509.ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    usage = found.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_cert_sign
    assert not found.get_extension_for_class(x509.BasicConstraints).value.ca
    life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    assert life == timedelta(days=30, hours=1)
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(parts().issuer.roots()[0])


def test_the_token_carries_id_secret_and_the_roots_pin():
    services.expect("gw-1", site="Tower", actor="cli:test")
    gateway_id, secret, pin = services.new_token("gw-1", actor="cli:test").split(".")
    root = parts().issuer.roots()[0].public_bytes(serialization.Encoding.DER)
    assert gateway_id == "gw-1"
    assert len(secret) == 26
    assert set(secret) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert len(pin) == 43
    assert hashlib.sha256(root).digest() == base64.urlsafe_b64decode(pin + "=")


def test_expecting_a_gateway_twice_changes_nothing():
    services.expect("gw-1", site="Tower", actor="cli:test")
    services.expect("gw-1", site="Tower", actor="cli:test")
    assert services.counts() == {"expected": 1, "enrolled": 0, "denied": 0, "retired": 0}
    with pytest.raises(RefusedError, match="belongs to Tower"):
        services.expect("gw-1", site="Mall", actor="cli:test")


@pytest.mark.parametrize(
    "name", ["", "GW-1", "gw_1", "gw.1", "a" * 64, "gw-1\n", "gw-\0", "broker", "ingest"]
)
def test_a_name_that_no_gateway_may_have_is_refused(name: str):
    with pytest.raises(RefusedError) as refused:
        services.expect(name, site="Tower", actor="cli:test")
    assert refused.value.reason == "gateway-name"
    with pytest.raises(UnknownError):
        services.find(name)


# --- tokens -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["", "a" * 26, "a" * 10_000, "ä\0\udcff"])
def test_a_wrong_token_is_refused_and_recorded(secret: str):
    device = Device("gw-1").expected()
    error = refusal(device, secret=secret)
    assert (error.reason, error.status) == ("token-wrong", 401)
    entry = last_entry()
    assert (entry.outcome, entry.reason, entry.peer) == ("refused", "token-wrong", PEER)
    assert (entry.action, entry.subject) == ("enrol", "gw-1")


def test_an_unknown_gateway_is_answered_like_a_wrong_token():
    device = Device("gw-1").expected()
    known = refusal(device, secret="x" * 26)
    unknown = refusal(device, name="gw-2")
    assert (known.reason, known.detail, known.status) == (unknown.reason, unknown.detail, unknown.status)
    assert last_entry().subject == "gw-2"


def test_the_token_of_another_gateway_is_wrong():
    one, two = Device("gw-1").expected(), Device("gw-2").expected()
    assert refusal(one, secret=two.secret).reason == "token-wrong"


def test_a_token_ends(clock: Clock):
    device = Device("gw-1").expected()
    clock.advance(days=7)
    error = refusal(device)
    assert (error.reason, error.status) == ("token-expired", 401)


def test_a_used_token_is_refused_to_another_key_at_once():
    device = enrolled("gw-1")
    error = refusal(device, csr=csr_der(new_key(), "gw-1"))
    assert (error.reason, error.status) == ("token-used", 401)


def test_a_lost_answer_can_be_had_again_by_the_same_key_for_ten_minutes(clock: Clock):
    device = enrolled("gw-1")
    first = device.certificate
    clock.advance(minutes=9)
    assert device.enrol() != first
    clock.advance(minutes=2)
    assert refusal(device).reason == "token-used"


def test_a_new_token_withdraws_the_former_one():
    device = Device("gw-1").expected()
    former = device.secret
    device.with_token()
    assert refusal(device, secret=former).reason == "token-void"
    device.enrol()


def test_only_the_hash_of_a_token_is_kept():
    device = Device("gw-1").expected()
    device.enrol()
    kept = [value for row in Token.objects.values() for value in row.values()]
    told = [value for row in AuditEntry.objects.values() for value in row.values()]
    assert not [value for value in kept + told if device.secret in str(value)]


def test_guessing_ends_after_ten_tries_and_the_installer_gets_in_from_elsewhere(clock: Clock):
    device = Device("gw-1").expected()
    for _ in range(10):
        assert refusal(device, secret="x" * 26).status == 401
    entries = AuditEntry.objects.count()
    for _ in range(5):
        error = refusal(device)
        assert (error.reason, error.status) == ("too-many-tries", 429)
    assert AuditEntry.objects.count() == entries, "a flood must not fill the audit trail"
    assert AuditEntry.objects.filter(reason="too-many-tries").count() == 1
    device.enrol(peer="198.51.100.1")
    clock.advance(minutes=11)
    device.with_token().enrol(peer=PEER)


def test_guessing_for_many_gateways_from_one_address_ends_too():
    for number in range(100):
        assert refusal(Device(f"gw-{number}")).reason == "token-wrong"
    assert refusal(Device("gw-new").expected()).reason == "too-many-tries"


def test_checking_a_token_uses_nothing_up():
    device = Device("gw-1").expected()
    assert services.check_token("gw-1", device.secret, peer=PEER).pk == "gw-1"
    device.enrol()
    with pytest.raises(RefusedError, match="token-wrong"):
        services.check_token("gw-1", "no", peer=PEER)


def test_of_two_keys_that_race_for_one_token_one_wins():
    Device("gw-1").expected()
    secret = services.new_token("gw-1", actor="cli:test").split(".")[1]
    outcomes = race([Device("gw-1", secret=secret).enrol for _ in range(4)])
    assert sorted(outcomes) == ["token-used", "token-used", "token-used", "won"]
    assert Certificate.objects.filter(name="gw-1").count() == 1
    assert services.verify_audit().problem == ""


def test_of_two_gateways_that_race_for_one_key_one_wins():
    key = new_key()
    devices = [Device(f"gw-{number}", key=key).expected() for number in range(4)]
    outcomes = race([device.enrol for device in devices])
    assert sorted(outcomes) == ["key-held", "key-held", "key-held", "won"]
    assert Certificate.objects.filter(gateway__isnull=False).count() == 1


def test_an_authority_that_cannot_sign_uses_no_token_up(monkeypatch: pytest.MonkeyPatch):
    device = Device("gw-1").expected()

    def broken(*_: object) -> None:
        raise SignerError("the module is gone")

    monkeypatch.setattr(parts().issuer, "issue", broken)
    with pytest.raises(SignerError):
        device.enrol()
    monkeypatch.undo()
    device.enrol()


def test_a_dead_broker_does_not_keep_a_gateway_from_its_certificate(broker: ModelBroker):
    broker.failing = {"grant"}
    device = enrolled("gw-1")
    assert last_entry().outcome == "failed"
    broker.failing = set()
    assert services.reconcile().granted == ("gw-1",)
    broker.connect(device.certificate)


# --- requests ---------------------------------------------------------------------------------------


def test_a_request_for_another_name_is_refused():
    device = Device("gw-1").expected()
    error = refusal(device, csr=csr_der(device.key, "gw-2"))
    assert (error.reason, error.status) == ("csr-name", 400)


def test_a_request_with_a_second_name_is_refused():
    device = Device("gw-1").expected()
    both = x509.SubjectAlternativeName([x509.DNSName("gw-1"), x509.DNSName("broker")])
    assert refusal(device, csr=csr_der(device.key, "gw-1", both)).reason == "csr-name"
    own = x509.SubjectAlternativeName([x509.DNSName("gw-1")])
    services.enrol("gw-1", device.secret, csr_der(device.key, "gw-1", own), peer=PEER)


def test_a_request_to_become_an_authority_is_refused():
    device = Device("gw-1").expected()
    authority = x509.BasicConstraints(ca=True, path_length=None)
    assert refusal(device, csr=csr_der(device.key, "gw-1", authority)).reason == "csr-authority"


def test_a_request_whose_signature_does_not_hold_is_refused():
    device = Device("gw-1").expected()
    request = csr_der(device.key, "gw-1")
    other = csr_der(new_key(), "gw-1")
    at = request.index(public_der(device.key)[-64:])
    forged = request[:at] + public_der(new_key())[-64:] + request[at + 64 :]
    assert len(forged) == len(request)
    assert other != request
    assert refusal(device, csr=forged).reason == "csr-signature"


@pytest.mark.parametrize(
    ("key", "word"),
    [
        (rsa.generate_private_key(65537, 2048), "another kind"),
        (ec.generate_private_key(ec.SECP384R1()), "secp384r1"),
        (ec.generate_private_key(ec.SECP224R1()), "secp224r1"),
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
    ],
)
def test_a_weak_or_wrong_kind_of_key_is_refused(key: ec.EllipticCurvePrivateKey, word: str):
    device = Device("gw-1").expected()
    error = refusal(device, csr=csr_der(key, "gw-1"))
    assert (error.reason, error.status) == ("csr-key", 400)
    assert word in error.detail


def test_a_request_signed_with_a_weaker_hash_is_refused():
    device = Device("gw-1").expected()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gw-1")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    request = builder.sign(device.key, hashes.SHA224()).public_bytes(serialization.Encoding.DER)
    assert refusal(device, csr=request).reason == "csr-signature"


@pytest.mark.parametrize("body", [b"", b"\x30", b"\x30\x80", b"hello", b"\x30\x82\xff\xff" + b"A" * 40])
def test_broken_requests_are_refused_in_one_line(body: bytes):
    device = Device("gw-1").expected()
    error = refusal(device, csr=body)
    assert (error.reason, error.status) == ("csr-broken", 400)
    assert "\n" not in str(error)


def test_a_huge_request_is_not_read():
    device = Device("gw-1").expected()
    assert refusal(device, csr=b"\x30" * 100_000).reason == "csr-size"


def test_a_key_that_another_gateway_holds_or_held_is_refused(clock: Clock):
    first = enrolled("gw-1")
    second = Device("gw-2", key=first.key).expected()
    assert refusal(second).reason == "key-held"
    first.renew()
    clock.advance(days=60)
    second.with_token()
    assert refusal(second).reason == "key-held", "expired or not, it was the other one's"


def test_a_key_of_one_of_our_services_is_refused(home: Home):
    stolen = serialization.load_pem_private_key(home.key_file("ingest").read_bytes(), None)
    assert isinstance(stolen, ec.EllipticCurvePrivateKey)
    assert refusal(Device("gw-1", key=stolen).expected()).reason == "key-held"


# --- states -----------------------------------------------------------------------------------------


def test_a_denied_gateway_is_not_certified():
    device = enrolled("gw-1")
    services.deny("gw-1", actor="cli:test", reason="test")
    error = refusal(device)
    assert (error.reason, error.status) == ("gateway-denied", 403)
    with pytest.raises(RefusedError, match="grant it first"):
        services.new_token("gw-1", actor="cli:test")
    with pytest.raises(RefusedError, match="gateway-denied"):
        device.renew()


def test_a_stranger_does_not_learn_that_a_gateway_is_denied():
    device = enrolled("gw-1")
    services.deny("gw-1", actor="cli:test", reason="test")
    assert refusal(device, secret="x" * 26).reason == "token-wrong"


def test_a_retired_gateway_comes_back_with_a_new_token_and_a_new_key_only(broker: ModelBroker):
    device = enrolled("gw-1")
    old = device.certificate
    services.retire("gw-1", actor="cli:test", reason="stolen")
    assert refusal(device).reason == "gateway-retired"
    with pytest.raises(RefusedError, match="retired for good"):
        services.grant("gw-1", actor="cli:test", reason="found again")
    device.with_token()
    assert services.find("gw-1").state == "expected"
    assert refusal(device).reason == "key-revoked"
    device.key = new_key()
    broker.connect(device.enrol())
    with pytest.raises(ConnectionRefusedError):
        broker.connect(old)
