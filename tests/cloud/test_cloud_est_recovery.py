"""Back in with the key of an expired certificate; and what the enrolled are told."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.cloud.enrolment_rig import REED, Gateway, Rig, certified, refused

MONTHS = timedelta(days=90)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("recovery"))
    with made.front:
        yield made


@pytest.fixture
def rig(served: Rig) -> Rig:
    served.take_over()
    return served


def begin(gateway: Gateway, pem: str | None = None):
    return gateway.post("recovery", {"certificate": gateway.pem if pem is None else pem})


def test_who_has_the_key_of_an_expired_certificate_gets_a_new_one(rig: Rig):
    gateway = rig.enrolled("away-1", past=MONTHS)

    answer, csr, number = gateway.recover()
    certificate = certified(gateway.post(f"recovery/{number}", answer), csr)

    assert certificate.subject.rfc4514_string() == "CN=away-1"


def test_the_same_key_may_be_certified_again(rig: Rig):
    gateway = rig.enrolled("away-2", past=MONTHS)
    begun = json.loads(begin(gateway).body)
    csr = gateway.csr()
    signed = b"reed-recovery-v1\0" + base64.b64decode(begun["nonce"]) + csr
    signature = gateway.key.sign(signed, ec.ECDSA(hashes.SHA256()))

    answer = gateway.post(f"recovery/{begun['id']}", {"csr": csr, "signature": signature})

    certified(answer, csr)


def test_an_answer_works_once(rig: Rig):
    gateway = rig.enrolled("away-3", past=MONTHS)
    answer, csr, number = gateway.recover()
    certified(gateway.post(f"recovery/{number}", answer), csr)

    replayed = gateway.post(f"recovery/{number}", answer)

    assert "begin again" in refused(replayed, 403, "recovery-unknown")


def test_of_many_who_send_the_same_answer_at_once_one_gets_a_certificate(rig: Rig):
    gateway = rig.enrolled("away-4", past=MONTHS)
    answer, _, number = gateway.recover()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: gateway.post(f"recovery/{number}", answer), range(6)))

    assert sorted(each.status for each in answers) == [200] + [403] * 5


def test_a_nonce_survives_a_restart_of_the_server_but_not_its_time(rig: Rig):
    gateway = rig.enrolled("away-5", past=MONTHS)
    answer, csr, number = gateway.recover()
    with rig.ago(timedelta(minutes=6)):
        old = rig.services.begin_recovery(gateway.certificate, peer="")

    rig.front.restart_application()

    late = gateway.post(f"recovery/{old.id}", answer)
    certified(gateway.post(f"recovery/{number}", answer), csr)
    refused(late, 403, "recovery-unknown")


def test_another_key_than_the_old_one_is_refused(rig: Rig):
    gateway = rig.enrolled("away-6", past=MONTHS)

    answer, _, number = gateway.recover(ec.generate_private_key(ec.SECP256R1()))

    assert "old key" in refused(gateway.post(f"recovery/{number}", answer), 403, "recovery-signature")
    assert "recovery-signature" in rig.refusals("away-6")


def test_a_signature_for_another_request_or_nonce_is_refused(rig: Rig):
    gateway = rig.enrolled("away-7", past=MONTHS)
    answer, _, _ = gateway.recover()
    other, _, number = gateway.recover()

    refused(gateway.post(f"recovery/{number}", answer), 403, "recovery-signature")
    swapped = {**other, "csr": gateway.csr()}
    assert gateway.post(f"recovery/{number}", swapped).status == 403


@pytest.mark.parametrize("signature", [b"", b"no der", bytes(64), bytes.fromhex("3006020100020100")])
def test_a_broken_signature_is_refused(rig: Rig, signature: bytes):
    gateway = rig.enrolled(f"away-8{signature.hex()[:4] or 'x'}", past=MONTHS)
    answer, _, number = gateway.recover()

    answered = gateway.post(f"recovery/{number}", {**answer, "signature": signature})

    assert answered.status in (400, 403)
    assert answered.line


def test_a_denied_gateway_does_not_recover(rig: Rig):
    gateway = rig.enrolled("away-9", past=MONTHS)
    answer, _, number = gateway.recover()
    rig.services.deny("away-9", actor="test", reason="stolen?")

    refused(begin(gateway), 403, "gateway-denied")
    refused(gateway.post(f"recovery/{number}", answer), 403, "gateway-denied")


def test_a_retired_gateway_does_not_recover(rig: Rig):
    gateway = rig.enrolled("away-10", past=MONTHS)
    rig.services.retire("away-10", actor="test", reason="scrapped")

    assert begin(gateway).status == 403


def test_too_long_ago_is_too_long(rig: Rig):
    gateway = rig.enrolled("away-11", past=timedelta(days=400))

    assert "365 days" in refused(begin(gateway), 403, "certificate-too-old")


def test_a_forged_certificate_with_the_name_of_a_gateway_is_not_ours(rig: Rig):
    gateway = rig.enrolled("away-12", past=MONTHS)
    assert gateway.certificate
    genuine = gateway.certificate
    key = ec.generate_private_key(ec.SECP256R1())
    forged = (
        x509.CertificateBuilder(genuine.issuer, genuine.subject, key.public_key(), genuine.serial_number)
        .not_valid_before(genuine.not_valid_before_utc)
        .not_valid_after(genuine.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )

    answer = begin(gateway, forged.public_bytes(Encoding.PEM).decode())

    refused(answer, 403, "certificate-unknown")


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "no certificate",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n%%%%\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
        "\u0000\ud83d\ude00",
    ],
)
def test_what_is_no_certificate_is_refused(rig: Rig, pem: str):
    refused(begin(rig.expect("away-13"), pem), 400, "certificate-broken")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"certificate": 5}',
        b'{"certificate": null}',
        b"\xff",
        b"{}",
        b"[" * 30_000,
    ],
)
def test_what_is_no_message_is_refused(rig: Rig, body: bytes):
    headers = {"Content-Type": "application/json"}

    refused(rig.front.ask("POST", f"{REED}/recovery", body, headers), 400, "json")


def test_unknown_fields_do_not_matter(rig: Rig):
    gateway = rig.enrolled("away-14", past=MONTHS)

    assert gateway.post("recovery", {"certificate": gateway.pem, "later": "version"}).status == 200


@pytest.mark.parametrize("number", ["0" * 32, "x", "..", "%0a", "a" * 3000])
def test_an_id_that_nobody_gave_is_refused(rig: Rig, number: str):
    answer = rig.expect("away-15").post(f"recovery/{number}", {"csr": b"x", "signature": b"x"})

    assert answer.status in (403, 404)
    assert answer.line


def test_who_is_refused_too_often_must_wait(rig: Rig):
    """Else anybody could fill the audit trail."""
    stranger = rig.enrolled("away-16", past=timedelta(days=400))

    answers = [begin(stranger) for _ in range(12)]

    assert [answer.status for answer in answers] == [403] * 10 + [429] * 2
    assert len(rig.refusals("away-16")) == 11  # the limit itself is told once
    assert answers[-1].headers["Reed-Reason"] == "too-many-tries"
    assert answers[-1].headers["Retry-After"] == "600"


# --- parameters -------------------------------------------------------------------------------------


def test_an_enrolled_gateway_learns_where_the_broker_is_and_who_commands(rig: Rig):
    gateway = rig.enrolled("told-1")

    answer = rig.front.ask("GET", f"{REED}/parameters", pair=gateway.pair)

    assert json.loads(answer.body) == {
        "gateway": "told-1",
        "broker": {"host": "localhost", "port": 8883},
        "command_keys": rig.home.command_public_file.read_text(),
        "attestation": "none",
    }


def test_nobody_else_learns_it(rig: Rig):
    gateway = rig.enrolled("told-2")
    rig.services.deny("told-2", actor="test", reason="")
    pair = rig.home.cert_file("ingest"), rig.home.key_file("ingest")
    path = f"{REED}/parameters"

    refused(rig.front.ask("GET", path, headers=gateway.basic()), 403, "certificate-missing")
    refused(rig.front.ask("GET", path, pair=gateway.pair), 403, "gateway-denied")
    refused(rig.front.ask("GET", path, pair=pair), 403, "certificate-service")


def test_without_a_key_for_commands_there_is_nothing_to_tell_yet(rig: Rig):
    gateway = rig.enrolled("told-3")
    aside = rig.home.command_public_file.rename(rig.home.services / "aside")

    answer = rig.front.ask("GET", f"{REED}/parameters", pair=gateway.pair)
    aside.rename(rig.home.command_public_file)

    assert "try again" in refused(answer, 503, "unavailable")
    assert answer.headers["Retry-After"] == "60"
