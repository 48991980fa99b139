"""Where attestation is required, renewal and recovery through the real server ask for it as well."""

import base64
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.est.models import Challenge
from cloud.tpm.public import Public
from tests.cloud.enrolment_rig import Rig, certified, refused
from tests.cloud.front import Answer
from tests.cloud.tpm_box import MAKER, ROOT, Box
from tests.fakes.softtpm import SoftTpm

MONTHS = timedelta(days=90)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("proof"))
    (made.home.ek_roots / "maker.pem").write_bytes(ROOT.pem + MAKER.pem)
    with made.front:
        yield made


@pytest.fixture
def rig(served: Rig) -> Rig:
    served.take_over()
    return served


def away(rig: Rig, name: str) -> Box:
    """Return a gateway that enrolled by attestation, and whose certificate has ended."""
    with rig.ago(MONTHS):
        box = Box(rig, name)
        ek = Public.read(box.tpm.ek.public, "endorsement key").fingerprint()
        rig.services.note_attested(name, ek, box.tpm.key.spki, peer="test")
        chain = rig.services.enrol(name, box.gateway.secret, box.gateway.csr(), peer="test")
    box.gateway.certificate = chain[0]
    return box


def begun(box: Box) -> tuple[str, bytes]:
    """Begin a recovery; return its id and nonce. Anybody who has seen the certificate can."""
    told = json.loads(box.gateway.post("recovery", {"certificate": box.gateway.pem}).body)
    return told["id"], base64.b64decode(told["nonce"])


class Recovering:
    """A recovery that has begun: with the old key, for a new one."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self.number, self._nonce = begun(box)
        self.csr = box.new_key()

    def finish(self, csr: bytes | None = None) -> Answer:
        """Send the request, signed with the old key."""
        csr = csr or self.csr
        signed = b"reed-recovery-v1\0" + self._nonce + csr
        signature = self._box.gateway.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return self._box.gateway.post(f"recovery/{self.number}", {"csr": csr, "signature": signature})


# --- renewal ------------------------------------------------------------------------------------------


def test_a_new_key_that_the_tpm_vouches_for_is_certified_by_the_old_certificate(rig: Rig):
    box = Box(rig, "proof-renews").enrolled()
    csr = box.new_key()
    assert "lies in its TPM" in refused(box.gateway.reenrol(csr), 403, "attestation-missing")

    assert box.attest().status == 204

    certified(box.gateway.reenrol(csr), csr)
    assert rig.refusals("proof-renews") == ["attestation-missing"]


def test_a_key_in_a_file_is_not_certified_by_a_certificate_of_one_in_the_tpm(rig: Rig):
    box = Box(rig, "proof-file").enrolled()
    carried_away = box.gateway.csr(ec.generate_private_key(ec.SECP256R1()))
    refused(box.gateway.reenrol(carried_away), 403, "attestation-missing")

    box.new_key()
    assert box.attest().status == 204

    refused(box.gateway.reenrol(carried_away), 403, "attestation-other-key")


def test_the_key_in_use_cannot_be_certified_again_without_proof(rig: Rig):
    box = Box(rig, "proof-same").enrolled()

    refused(box.gateway.reenrol(box.gateway.csr()), 403, "attestation-missing")


def test_a_proof_is_good_for_one_renewal(rig: Rig):
    box = Box(rig, "proof-once").enrolled()
    csr = box.new_key()
    assert box.attest().status == 204
    certified(box.gateway.reenrol(csr), csr)

    refused(box.gateway.reenrol(csr), 403, "attestation-missing")


def test_another_tpm_than_the_gateways_proves_nothing(rig: Rig):
    box = Box(rig, "proof-other").enrolled()
    box.tpm = SoftTpm()
    box.certificate = MAKER.certify(box.tpm.ek)

    assert "another TPM" in refused(box.begin(), 403, "ek-changed")


def test_with_a_certificate_no_tpm_can_be_bound(rig: Rig):
    """Whoever has the key of a gateway without a TPM could otherwise take its name with one of his own."""
    box = Box(rig, "proof-unbound").enrolled()
    rig.services.replace_hardware("proof-unbound", actor="test", reason="board broken")

    assert "token" in refused(box.begin(), 403, "ek-unbound")
    assert rig.services.find("proof-unbound").ek_fingerprint is None


def test_a_board_that_was_replaced_does_not_renew_with_a_proof_from_before(rig: Rig):
    box = Box(rig, "proof-replaced").enrolled()
    csr = box.new_key()
    assert box.attest().status == 204
    rig.services.replace_hardware("proof-replaced", actor="test", reason="board broken")

    refused(box.gateway.reenrol(csr), 403, "attestation-missing")


def test_a_denied_gateway_gets_no_challenge(rig: Rig):
    box = Box(rig, "proof-denied").enrolled()
    begun = box.challenge()
    rig.services.deny("proof-denied", actor="test", reason="test")

    refused(box.begin(), 403, "gateway-denied")
    refused(box.finish(begun, box.proof(begun)), 403, "gateway-denied")
    assert rig.refusals("proof-denied")[0] == "gateway-denied"


def test_another_gateways_certificate_cannot_answer(rig: Rig):
    box, thief = Box(rig, "proof-asked").enrolled(), Box(rig, "proof-thief").enrolled()
    asked = box.challenge()
    box.pair, own = thief.pair, box.pair

    refused(box.finish(asked, box.proof(asked)), 403, "attestation-unknown")
    box.pair = own
    assert box.finish(asked, box.proof(asked)).status == 204


def test_without_policy_nothing_is_asked(rig: Rig):
    gateway = rig.enrolled("proof-free")

    csr = gateway.csr(ec.generate_private_key(ec.SECP256R1()))

    certified(gateway.reenrol(csr), csr)


def test_who_shows_nothing_gets_no_challenge(rig: Rig):
    box = Box(rig, "proof-nobody")

    refused(box.gateway.post("attestation", {}), 401, "token-missing")


def test_a_gateway_is_told_that_its_next_key_has_to_be_proven(rig: Rig):
    box = Box(rig, "proof-told").enrolled()

    told = rig.front.ask("GET", "/reed/v1/parameters", pair=box.pair)

    assert json.loads(told.body)["attestation"] == "required"


# --- recovery -----------------------------------------------------------------------------------------


def test_a_gateway_that_was_away_proves_its_new_key_by_right_of_its_recovery(rig: Rig):
    box = away(rig, "proof-away")
    recovering = Recovering(box)
    refused(recovering.finish(), 403, "attestation-missing")
    box.recovery = recovering.number

    assert box.attest().status == 204

    certified(recovering.finish(), recovering.csr)


def test_the_old_key_cannot_recover_for_a_key_in_a_file(rig: Rig):
    box = away(rig, "proof-away-file")
    recovering = Recovering(box)
    box.recovery = recovering.number
    assert box.attest().status == 204

    carried_away = box.gateway.csr(ec.generate_private_key(ec.SECP256R1()))

    refused(recovering.finish(carried_away), 403, "attestation-other-key")


def test_another_tpm_proves_nothing_for_a_recovery(rig: Rig):
    box = away(rig, "proof-away-other")
    box.recovery = Recovering(box).number
    box.tpm = SoftTpm()
    box.certificate = MAKER.certify(box.tpm.ek)

    refused(box.begin(), 403, "ek-changed")


def test_a_recovery_that_is_over_gives_no_right(rig: Rig):
    box = away(rig, "proof-away-over")
    recovering = Recovering(box)
    box.recovery = recovering.number
    assert box.attest().status == 204
    certified(recovering.finish(), recovering.csr)

    assert "begin again" in refused(box.begin(), 403, "recovery-unknown")


@pytest.mark.parametrize("number", ["0" * 32, "x", "0" * 33, "../../"])
def test_a_recovery_that_nobody_began_gives_no_right(rig: Rig, number: str):
    box = Box(rig, "proof-away-none")
    box.recovery = number

    refused(box.begin(), 403, "recovery-unknown")


def test_a_denied_gateway_proves_nothing_by_its_recovery(rig: Rig):
    box = away(rig, "proof-away-denied")
    box.recovery = Recovering(box).number
    rig.services.deny("proof-away-denied", actor="test", reason="test")

    refused(box.begin(), 403, "gateway-denied")


def test_a_stranger_with_the_certificate_does_not_disturb_the_gateways_own_proof(rig: Rig):
    """The certificate is no secret, and whoever has it can begin a recovery."""
    box = away(rig, "proof-away-stranger")
    gateways_own = Recovering(box)
    box.recovery = gateways_own.number
    asked = box.challenge()

    for _ in range(3):
        box.recovery, _ = begun(box)
        assert box.begin().status == 200
    box.recovery = gateways_own.number

    assert box.finish(asked, box.proof(asked)).status == 204
    certified(gateways_own.finish(), gateways_own.csr)


def test_one_recovery_has_one_challenge(rig: Rig):
    box = away(rig, "proof-away-one")
    box.recovery, _ = begun(box)

    older, newer = box.challenge(), box.challenge()

    refused(box.finish(older, box.proof(older)), 403, "attestation-unknown")
    assert Challenge.objects.filter(gateway_id="proof-away-one").count() == 1
    assert box.finish(newer, box.proof(newer)).status == 204
