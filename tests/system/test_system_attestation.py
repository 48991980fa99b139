"""Attestation from a TPM in Debian 13 to the whole server: what is believed, and every cheat that we know."""

import base64
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.cloud.enrolment_rig import EST, Gateway, Rig, certified, refused
from tests.cloud.front import Answer
from tests.fakes.softtpm import Maker as SoftMaker
from tests.fakes.softtpm import SoftTpm
from tests.system.harness.machine import Machine
from tests.system.harness.swtpm import Maker, Swtpm
from tests.system.harness.tpm_talk import Talk
from tests.system.harness.tree import why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")

OUR_MAKER = SoftMaker.root("Maker of a P-256 key")
_numbers = itertools.count(1)
P256_CERTIFICATE = "0x01c0000a"
"""Where a TPM keeps the certificate of its P-256 endorsement key (TCG EK Credential Profile, 2.2.1.4)."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with Machine(tmp_path_factory.mktemp("m")) as running:
        yield running


@pytest.fixture(scope="module")
def maker(machine: Machine) -> Maker:
    return Maker(Path("/var/tpm"), machine)


@pytest.fixture(scope="module")
def tpm(maker: Maker) -> Iterator[Swtpm]:
    with maker.make("a") as running:
        yield running


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, maker: Maker, tpm: Swtpm) -> Iterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("c"))
    for file in (maker.root_file, maker.intermediate_file):
        (made.home.ek_roots / file.name).write_bytes(file.read_bytes())
    (made.home.ek_roots / "p256.pem").write_bytes(OUR_MAKER.pem)
    with made.front:
        yield made


class Box:
    """A gateway: its TPM in the machine, its wire to the server in our hands."""

    def __init__(self, rig: Rig, name: str, talk: Talk) -> None:
        self.talk = talk
        self.rig = rig
        self.gateway: Gateway = rig.expect(name, attestation="required")
        talk.create()

    def begin(self, **changes: bytes) -> Answer:
        return self.gateway.post("attestation", {**self.talk.begin(), **changes}, basic=True)

    def challenge(self) -> tuple[str, dict[str, bytes]]:
        answer = self.begin()
        assert answer.status == 200, answer.body
        asked = json.loads(answer.body)
        return asked.pop("id"), {name: base64.b64decode(value) for name, value in asked.items()}

    def finish(self, number: str, proof: dict[str, bytes]) -> Answer:
        return self.gateway.post(f"attestation/{number}", dict(proof), basic=True)

    def enrol(self) -> Answer:
        return self.gateway.enrol(self.talk.csr(self.gateway.id))

    def forget(self) -> None:
        """Give the TPM free for the next test."""
        self.rig.services.replace_hardware(self.gateway.id, actor="test", reason="the test is over")


@pytest.fixture
def talk(machine: Machine, tpm: Swtpm) -> Iterator[Talk]:
    with Talk(machine, tpm.tcti) as running:
        yield running


@pytest.fixture
def box(rig: Rig, talk: Talk) -> Iterator[Box]:
    made = Box(rig, f"box-{next(_numbers)}", talk)
    yield made
    made.forget()


def test_a_key_in_the_tpm_is_believed_and_certified(box: Box):
    refused(box.enrol(), 403, "attestation-missing")
    number, asked = box.challenge()

    assert box.finish(number, box.talk.answer(asked)).status == 204

    certified(box.enrol(), box.talk.csr(box.gateway.id))


def test_a_replayed_proof_is_refused(box: Box):
    number, asked = box.challenge()
    proof = box.talk.answer(asked)
    assert box.finish(number, proof).status == 204
    later, _ = box.challenge()

    refused(box.finish(number, proof), 403, "attestation-unknown")
    refused(box.finish(later, proof), 403, "attestation-secret")


def test_another_nonce_is_refused(box: Box):
    number, asked = box.challenge()

    refused(box.finish(number, box.talk.answer({**asked, "nonce": bytes(32)})), 403, "attestation-nonce")


@pytest.mark.parametrize("at", [0, 6, 50, -1])
def test_an_altered_attestation_is_refused(box: Box, at: int):
    number, asked = box.challenge()
    proof = box.talk.answer(asked)
    altered = bytearray(proof["attest"])
    altered[at] ^= 1

    refused(box.finish(number, {**proof, "attest": bytes(altered)}), 403, "attestation-signature")


def test_a_key_made_later_is_not_the_one_that_was_proven(box: Box):
    number, asked = box.challenge()
    assert box.finish(number, box.talk.answer(asked)).status == 204
    box.talk.create()

    refused(box.enrol(), 403, "attestation-other-key")


def test_a_key_of_software_is_not_certified_by_any_tpm(box: Box):
    said = box.talk.begin()
    soft = SoftTpm().key

    asked = json.loads(box.gateway.post("attestation", {**said, "key_public": soft.public}, basic=True).body)
    proof = box.talk.answer({k: base64.b64decode(v) for k, v in asked.items() if k != "id"})

    refused(box.finish(asked["id"], proof), 403, "attestation-other-key")


def test_an_attestation_key_that_signs_anything_is_refused(box: Box):
    """The TPM's own key for TLS is one."""
    assert "not restricted" in refused(
        box.begin(ak_public=box.talk.begin()["key_public"]), 403, "attestation-key-kind"
    )


def test_a_tpm_of_a_maker_whom_nobody_trusts_is_refused(rig: Rig, machine: Machine):
    stranger = Maker(Path("/var/stranger"), machine)
    with stranger.make("s") as foreign, Talk(machine, foreign.tcti) as talk:
        box = Box(rig, "stranger", talk)

        refused(box.begin(), 403, "ek-unknown-maker")
    assert rig.refusals("stranger") == ["ek-unknown-maker"]


def test_one_tpm_cannot_use_the_certificate_of_another(box: Box, rig: Rig, machine: Machine, maker: Maker):
    with maker.make("b") as second, Talk(machine, second.tcti) as talk:
        other = Box(rig, "other", talk)
        theirs = other.talk.begin()

        refused(box.begin(ek_certificate=theirs["ek_certificate"]), 403, "ek-other-key")
        stolen = {name: theirs[name] for name in ("ek_certificate", "ek_public")}
        answer = box.begin(**stolen)
        asked = {k: base64.b64decode(v) for k, v in json.loads(answer.body).items() if k != "id"}
        with pytest.raises(AssertionError, match="not made for this TPM"):
            box.talk.answer(asked)


def test_a_certified_endorsement_key_on_p_256_is_believed(box: Box, machine: Machine, tpm: Swtpm):
    """The TPM of software comes with certificates for RSA and P-384; most chips have one for P-256."""
    tool = {"TPM2TOOLS_TCTI": tpm.tcti}
    machine.run("tpm2_createek", "-c", "/tmp/ek.ctx", "-G", "ecc", "-u", "/tmp/ek.pem", "-f", "pem", **tool)
    machine.run("tpm2_flushcontext", "-t", **tool)
    public = load_pem_public_key(machine.path("/tmp/ek.pem").read_bytes())
    now = datetime.now(UTC)
    certificate = OUR_MAKER.certify(public, begins=now - timedelta(days=1), ends=now + timedelta(days=1))
    machine.path("/tmp/ek.der").write_bytes(certificate + bytes(40))  # the area is larger than what is in it
    size = str(len(certificate) + 40)
    readable = "ownerread|ownerwrite|authread|ppread|no_da"
    machine.run("tpm2_nvdefine", P256_CERTIFICATE, "-C", "o", "-s", size, "-a", readable, **tool)
    machine.run("tpm2_nvwrite", P256_CERTIFICATE, "-C", "o", "-i", "/tmp/ek.der", **tool)
    try:
        said = box.talk.begin()
        number, asked = box.challenge()
        answer = box.finish(number, box.talk.answer(asked))
    finally:
        machine.run("tpm2_nvundefine", P256_CERTIFICATE, "-C", "o", **tool)

    assert said["ek_certificate"].startswith(certificate)
    assert answer.status == 204
    certified(box.enrol(), box.talk.csr(box.gateway.id))


def test_the_server_needs_no_tpm_to_serve_everybody_else(rig: Rig):
    assert rig.front.ask("GET", f"{EST}/cacerts").status == 200
