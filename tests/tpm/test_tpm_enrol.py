"""The first enrolment with a key in a TPM, proven to a cloud that uses the real cloud's judgement."""

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud.errors import RefusedError
from cloud.tpm import certify
from cloud.tpm.credential import make_credential
from cloud.tpm.endorsement import Makers
from cloud.tpm.public import Public
from gateway.errors import EnrolmentError, IdentityError, UnreachableError
from gateway.identity import tls
from gateway.identity.config import Config
from gateway.identity.enrol import enrol
from gateway.identity.keys import in_tpm
from gateway.identity.order import Enrolled, Order
from gateway.identity.slots import Slots
from gateway.identity.token import parse
from tests.fakes import est_cloud
from tests.fakes.est_cloud import Cloud
from tests.system.harness.swtpm import Maker, Swtpm
from tests.tpm.conftest import left_in

ID = "hq-01"


class Prover:
    """The cloud's half of the proof, with the cloud's own code."""

    def __init__(self, maker: Maker) -> None:
        files = (maker.root_file, maker.intermediate_file)
        root, intermediate = (x509.load_pem_x509_certificate(path.read_bytes()) for path in files)
        self._makers = Makers((root,), (intermediate,))

    def challenge(self, told: Mapping[str, bytes]) -> tuple[dict[str, bytes] | None, tuple[bytes, ...]]:
        ek, ak = Public.read(told["ek_public"], "EK"), Public.read(told["ak_public"], "AK")
        secret, nonce = os.urandom(32), os.urandom(32)
        try:
            self._makers.vouch(told["ek_certificate"], ek, datetime.now(UTC))
        except RefusedError:
            return None, ()
        credential = make_credential(ek, secret, ak.name)
        sent = {
            "credential_blob": credential.blob,
            "encrypted_secret": credential.encrypted_secret,
            "nonce": nonce,
        }
        return sent, (secret, nonce, told["ak_public"], told["key_public"])

    def key_proven(self, proof: list[bytes], told: Mapping[str, bytes]) -> bytes | None:
        secret, nonce, ak_public, key_public = proof
        ak, key = Public.read(ak_public, "AK"), Public.read(key_public, "key")
        certify.verify(ak, key, told["attest"], told["signature"], nonce)
        proven = key.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return proven if told["secret"] == secret else None


@pytest.fixture
def cloud(tmp_path: Path, maker: Maker) -> Iterator[Cloud]:
    model = est_cloud.cloud(tmp_path / "cloud", attestation_required=True, prover=Prover(maker))
    with est_cloud.served(model) as running:
        yield running


@pytest.fixture
def slots(tmp_path: Path) -> Slots:
    (tmp_path / "state").mkdir()
    return Slots(tmp_path / "state" / "identity")


def enrolled(cloud: Cloud, slots: Slots, config: Config) -> tuple[Enrolled, dict[str, str]]:
    said: dict[str, str] = {}
    order = Order(url=cloud.url, token=parse(cloud.token(ID)), now_unix_s=datetime.now(UTC).timestamp())
    return enrol(order, slots, config, said.__setitem__), said


def test_a_gateway_enrols_with_a_key_that_its_tpm_has_made_and_proven(
    cloud: Cloud, slots: Slots, config: Config, tpm: Swtpm
):
    done, said = enrolled(cloud, slots, config)

    pair = slots.current()
    assert pair is not None
    assert in_tpm(pair.key_file)
    assert (done.key, said["key"]) == ("tpm", "made in the TPM")
    assert "the cloud believes that the key lies in this TPM" in said["attestation"]
    assert left_in(tpm) == []


def test_a_tpm_of_another_maker_is_refused_and_told_why(
    cloud: Cloud, slots: Slots, config: Config, tmp_path: Path
):
    stranger = Maker(tmp_path / "stranger")
    with stranger.make("x") as other, pytest.raises(EnrolmentError, match="maker of this TPM is not trusted"):
        enrolled(cloud, slots, Config(tcti=other.tcti, tpm_timeout_s=10))
    assert cloud.issued == []


def test_a_lost_answer_costs_neither_the_token_nor_a_second_key(cloud: Cloud, slots: Slots, config: Config):
    cloud.after = lambda path: path.endswith("simpleenroll")
    with pytest.raises(UnreachableError):
        enrolled(cloud, slots, config)
    cloud.after = lambda _: False

    _, said = enrolled(cloud, slots, config)

    assert said["key"] == "kept from the last attempt"
    assert cloud.issued[0].public_key() == cloud.issued[1].public_key()


def test_a_copied_card_is_useless_to_another_tpm(
    cloud: Cloud, slots: Slots, config: Config, other_tpm: Swtpm
):
    enrolled(cloud, slots, config)

    with pytest.raises(IdentityError, match="TPM"):
        tls.client_context(slots.ca_file, slots.current(), tcti=other_tpm.tcti)
