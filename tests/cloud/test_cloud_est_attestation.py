"""Attestation through the real server, by a TPM in software; tests/system does the same with swtpm."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.db.models import QuerySet

from cloud.errors import RefusedError
from cloud.est import attestation
from cloud.est.models import Challenge
from tests.cloud.enrolment_rig import Rig, certified, refused
from tests.cloud.tpm_box import MAKER, ROOT, Box
from tests.fakes.softtpm import (
    AK_ATTRIBUTES,
    EK_CERTIFICATE,
    RESTRICTED,
    Maker,
    SoftTpm,
    ec_key,
    software_copy,
)

STRANGER = Maker.root("Stranger")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("attest"))
    (made.home.ek_roots / "maker.pem").write_bytes(ROOT.pem + MAKER.pem)
    with made.front:
        yield made


@pytest.fixture
def rig(served: Rig) -> Rig:
    served.take_over()
    return served


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384"])
def test_a_key_that_its_tpm_vouches_for_is_certified(rig: Rig, kind: str):
    box = Box(rig, f"tpm-{kind.lower()}", SoftTpm(kind))
    asked = box.challenge()

    answer = box.finish(asked, box.proof(asked))

    assert (answer.status, answer.body) == (204, b"")
    certified(box.gateway.enrol(), box.gateway.csr())
    assert rig.services.find(box.gateway.id).ek_fingerprint


def test_without_attestation_the_key_is_not_certified(rig: Rig):
    box = Box(rig, "tpm-none")

    assert "lies in its TPM" in refused(box.gateway.enrol(), 403, "attestation-missing")


def test_a_begun_attestation_is_none(rig: Rig):
    box = Box(rig, "tpm-begun")
    box.challenge()

    refused(box.gateway.enrol(), 403, "attestation-missing")


def test_another_key_than_the_attested_one_is_not_certified(rig: Rig):
    box = Box(rig, "tpm-other-key")
    asked = box.challenge()
    assert box.finish(asked, box.proof(asked)).status == 204

    other = box.gateway.csr(ec.generate_private_key(ec.SECP256R1()))

    refused(box.gateway.enrol(other), 403, "attestation-other-key")


def test_a_replayed_answer_is_refused(rig: Rig):
    box = Box(rig, "tpm-replay")
    asked = box.challenge()
    proof = box.proof(asked)
    assert box.finish(asked, proof).status == 204

    assert "begin again" in refused(box.finish(asked, proof), 403, "attestation-unknown")
    assert "attestation-unknown" in rig.refusals("tpm-replay")


def test_the_answer_to_an_older_challenge_is_refused(rig: Rig):
    box = Box(rig, "tpm-older")
    older = box.challenge()
    newer = box.challenge()

    refused(box.finish(older, box.proof(older)), 403, "attestation-unknown")
    assert box.finish(newer, box.proof(newer)).status == 204


def test_a_wrong_answer_uses_the_challenge_up(rig: Rig):
    box = Box(rig, "tpm-once")
    asked = box.challenge()
    proof = box.proof(asked)

    refused(box.finish(asked, {**proof, "secret": bytes(32)}), 403, "attestation-secret")
    refused(box.finish(asked, proof), 403, "attestation-unknown")


def test_of_many_same_answers_at_once_one_counts(rig: Rig):
    box = Box(rig, "tpm-race")
    asked = box.challenge()
    proof = box.proof(asked)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: box.finish(asked, proof), range(6)))

    assert sorted(answer.status for answer in answers) == [204] + [403] * 5


def test_who_is_overtaken_between_reading_and_using_up_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    box = Box(rig, "tpm-overtaken")
    number = box.challenge()["id"].decode()
    first = QuerySet.first

    def overtaken(found: QuerySet[Challenge]) -> Challenge | None:
        row = first(found)
        Challenge.objects.filter(id=number).delete()
        return row

    monkeypatch.setattr(QuerySet, "first", overtaken)
    with pytest.raises(RefusedError, match="answered before"):
        attestation._take(number, attestation._Right("tpm-overtaken"))


def test_a_challenge_survives_a_restart_of_the_server(rig: Rig):
    box = Box(rig, "tpm-restart")
    asked = box.challenge()

    rig.front.restart_application()

    assert box.finish(asked, box.proof(asked)).status == 204


def test_a_challenge_ends_with_its_time(rig: Rig):
    box = Box(rig, "tpm-late")
    asked = box.challenge()
    found = Challenge.objects.filter(id=asked["id"].decode())
    left = found.get().expires_at - datetime.now(UTC)
    found.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))

    refused(box.finish(asked, box.proof(asked)), 403, "attestation-unknown")
    assert timedelta(minutes=4) < left <= timedelta(minutes=5)


def test_another_gateway_cannot_answer_even_if_it_could(rig: Rig):
    box, thief = Box(rig, "tpm-victim"), Box(rig, "tpm-thief")
    asked = box.challenge()
    proof = box.proof(asked)

    refused(box.finish(asked, proof, thief.gateway), 403, "attestation-unknown")
    assert box.finish(asked, proof).status == 204


def test_the_nonce_of_another_challenge_is_refused(rig: Rig):
    box = Box(rig, "tpm-nonce")
    asked = box.challenge()
    attest, signature = box.tpm.certify(bytes(32))

    answer = box.finish(asked, {**box.proof(asked), "attest": attest, "signature": signature})

    refused(answer, 403, "attestation-nonce")


def test_an_altered_attestation_is_refused(rig: Rig):
    box = Box(rig, "tpm-altered")
    asked = box.challenge()
    proof = box.proof(asked)
    attest = proof["attest"]
    assert isinstance(attest, bytes)

    refused(box.finish(asked, {**proof, "attest": attest[:-1] + b"\1"}), 403, "attestation-signature")


def test_the_attestation_of_another_key_is_refused(rig: Rig):
    box = Box(rig, "tpm-key")
    asked = box.challenge()
    attest, signature = box.tpm.certify(asked["nonce"], key=ec_key(box.tpm.key.attributes))

    answer = box.finish(asked, {**box.proof(asked), "attest": attest, "signature": signature})

    refused(answer, 403, "attestation-other-key")


def test_a_tpm_of_another_maker_is_refused_by_name(rig: Rig):
    box = Box(rig, "tpm-stranger", maker=STRANGER)

    assert "CN=Stranger" in refused(box.begin(), 403, "ek-unknown-maker")
    assert rig.refusals("tpm-stranger") == ["ek-unknown-maker"]


def test_the_certificate_of_another_tpm_is_refused(rig: Rig):
    box, other = Box(rig, "tpm-mine"), SoftTpm()

    refused(box.begin(ek_certificate=MAKER.certify(other.ek)), 403, "ek-other-key")


def test_an_attestation_key_that_signs_anything_is_refused(rig: Rig):
    box = Box(rig, "tpm-ak")
    free = replace(box.tpm.ak, attributes=AK_ATTRIBUTES & ~RESTRICTED)

    assert "not restricted" in refused(box.begin(ak_public=free.public), 403, "attestation-key-kind")


def test_a_key_made_in_software_is_refused(rig: Rig):
    box = Box(rig, "tpm-soft")

    refused(box.begin(key_public=software_copy(box.tpm.key).public), 403, "attestation-key-kind")


def test_a_tpm_serves_one_gateway_and_a_gateway_keeps_its_tpm(rig: Rig):
    first = Box(rig, "tpm-first")
    asked = first.challenge()
    assert first.finish(asked, first.proof(asked)).status == 204
    certified(first.gateway.enrol(), first.gateway.csr())

    second = Box(rig, "tpm-second", first.tpm)
    assert "belongs to tpm-first" in refused(second.begin(), 403, "ek-bound")

    again = Box(rig, "tpm-first", SoftTpm())
    assert "another TPM" in refused(again.begin(), 403, "ek-changed")


def test_a_wrong_token_gets_no_challenge(rig: Rig):
    box = Box(rig, "tpm-token")
    box.gateway.secret = "a" * 26

    refused(box.begin(), 401, "token-wrong")


@pytest.mark.parametrize("name", ["ek_certificate", "ek_public", "ak_public", "key_public"])
@pytest.mark.parametrize("value", [b"\0", b"garbage", bytes(4096), bytes.fromhex("ffff")])
def test_garbage_in_any_field_is_refused(rig: Rig, name: str, value: bytes):
    box = Box(rig, f"tpm-{name.replace('_', '-')}-{len(value)}")

    answer = box.begin(**{name: value})

    assert answer.status == 400, answer.body
    assert answer.line


@pytest.mark.parametrize(
    "proof", [{}, {"secret": "%", "attest": "AA==", "signature": "AA=="}, {"secret": ""}]
)
def test_an_answer_without_form_is_refused(rig: Rig, proof: dict[str, str | bytes]):
    box = Box(rig, "tpm-form")
    asked = box.challenge()

    assert box.finish(asked, proof).status == 400


def test_a_certificate_of_another_purpose_is_refused(rig: Rig):
    box = Box(rig, "tpm-purpose")
    other = EK_CERTIFICATE.__class__("2.23.133.8.3")

    refused(box.begin(ek_certificate=MAKER.certify(box.tpm.ek, purposes=(other,))), 403, "ek-not-a-tpm")


def test_a_damaged_file_of_makers_is_the_clouds_trouble(rig: Rig):
    box = Box(rig, "tpm-damaged")
    wrong = rig.home.ek_roots / "wrong.pem"
    wrong.write_text("no certificate")

    answer = box.begin()
    wrong.unlink()

    assert "try again" in refused(answer, 503, "unavailable")
    assert box.begin().status == 200
