"""The proof that our key lies in a genuine TPM, as the cloud checks it."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from cloud.errors import RefusedError
from cloud.tpm import certify
from cloud.tpm.credential import make_credential
from cloud.tpm.endorsement import Makers
from cloud.tpm.public import Public
from gateway.errors import IdentityError
from gateway.identity.config import Config
from gateway.identity.keys import Attester, Keys, open_keys
from tests.system.harness.swtpm import Maker, Swtpm
from tests.tpm.conftest import left_in


class Cloud:
    """Its half, step by step."""

    def __init__(self, told: dict[str, bytes]) -> None:
        self.told = told
        self.ek = Public.read(told["ek_public"], "EK")
        self.ak = Public.read(told["ak_public"], "AK")
        self.key = Public.read(told["key_public"], "key")
        self.secret, self.nonce = os.urandom(32), os.urandom(32)

    def challenge(self) -> dict[str, bytes]:
        credential = make_credential(self.ek, self.secret, self.ak.name)
        return {
            "credential_blob": credential.blob,
            "encrypted_secret": credential.encrypted_secret,
            "nonce": self.nonce,
        }

    def check(self, answer: dict[str, bytes]) -> None:
        assert answer["secret"] == self.secret
        certify.verify(self.ak, self.key, answer["attest"], answer["signature"], self.nonce)


@pytest.fixture
def attester(keys: Keys) -> Attester:
    made = keys.attester()
    assert made is not None
    return made


def makers(maker: Maker) -> Makers:
    files = (maker.root_file, maker.intermediate_file)
    root, intermediate = (x509.load_pem_x509_certificate(path.read_bytes()) for path in files)
    return Makers((root,), (intermediate,))


def test_the_cloud_believes_a_key_of_a_genuine_tpm(
    attester: Attester, key_file: Path, keys: Keys, maker: Maker, tpm: Swtpm
):
    cloud = Cloud(dict(attester.begin(key_file)))
    makers(maker).vouch(cloud.told["ek_certificate"], cloud.ek, datetime.now(UTC))
    cloud.check(dict(attester.answer(cloud.challenge())))
    request = x509.load_der_x509_csr(keys.csr(key_file, "house-7"))
    assert request.public_key() == cloud.key.key
    assert left_in(tpm) == []


def test_a_secret_of_its_own_never_leaves_the_gateway(attester: Attester, key_file: Path):
    assert set(attester.begin(key_file)) == {"ek_certificate", "ek_public", "ak_public", "key_public"}


def test_an_old_answer_does_not_pass_a_new_nonce(attester: Attester, key_file: Path):
    cloud = Cloud(dict(attester.begin(key_file)))
    answer = dict(attester.answer(cloud.challenge()))
    cloud.nonce = os.urandom(32)
    with pytest.raises(RefusedError, match="another challenge"):
        cloud.check(answer)


def test_another_tpm_cannot_answer_for_ours(
    attester: Attester, key_file: Path, other_tpm: Swtpm, tmp_path: Path
):
    cloud = Cloud(dict(attester.begin(key_file)))
    impostor = open_keys(Config(tcti=other_tpm.tcti))
    impostor.create(tmp_path / "impostor.pem")
    other = impostor.attester()
    assert other
    other.begin(tmp_path / "impostor.pem")
    with pytest.raises(IdentityError, match="challenge was not made for this TPM"):
        other.answer(cloud.challenge())
    assert left_in(other_tpm) == []


@pytest.mark.parametrize("part", ["credential_blob", "encrypted_secret", "nonce"])
@pytest.mark.parametrize("garbage", [b"", b"\xff" * 40, b"\xff" * 4000])
def test_a_malformed_challenge_is_one_clear_line(
    attester: Attester, key_file: Path, tpm: Swtpm, part: str, garbage: bytes
):
    cloud = Cloud(dict(attester.begin(key_file)))
    challenge = cloud.challenge() | {part: garbage}
    # a short nonce is a nonce, too: it just is not the one that the cloud gave
    with pytest.raises((IdentityError, RefusedError)) as caught:
        cloud.check(dict(attester.answer(challenge)))
    assert "\n" not in str(caught.value)
    assert left_in(tpm) == []


def test_a_tpm_without_a_certificate_of_its_maker_says_so(maker: Maker, tmp_path: Path):
    with maker.make("nameless", certified=False) as nameless:
        its_own = open_keys(Config(tcti=nameless.tcti))
        its_own.create(tmp_path / "key.pem")
        attester = its_own.attester()
        assert attester
        with pytest.raises(IdentityError, match="no certificate of its maker"):
            attester.begin(tmp_path / "key.pem")
