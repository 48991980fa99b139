"""The cloud's authority with its key in the TPM of its machine."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.ca import ceremony, crl, open_issuer
from cloud.ca.authority import Revoked
from cloud.ca.certificates import key_id
from cloud.ca.config import Config
from cloud.ca.folder import Folder
from cloud.ca.policy import Policy, check_request
from cloud.ca.profile import gateway_profile
from cloud.ca.tpm import make_tpm_key, open_tpm_key
from cloud.errors import SignerError
from cloud.home import Home
from tests.system.harness.swtpm import Swtpm
from tests.tpm.conftest import left_in

NOW = datetime.now(UTC)
PASSPHRASE = "correct-horse-battery-staple"  # noqa: S105  # of a test
SHA256 = ec.ECDSA(hashes.SHA256())


def request(name: str) -> x509.CertificateSigningRequest:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return check_request(csr.public_bytes(serialization.Encoding.DER), name, Policy())


@pytest.fixture
def settings(tpm: Swtpm) -> Config:
    return Config(key="tpm", tpm_tcti=tpm.tcti)


@pytest.fixture
def home(tmp_path: Path, settings: Config) -> Home:
    """After the ceremonies: root in a file, intermediate in the TPM."""
    made = Home(tmp_path / "home")
    ceremony.create_root(made, passphrase=PASSPHRASE, now=NOW)
    root = ceremony.root_key(made, made.offline, PASSPHRASE)
    ceremony.create_intermediate(made, settings, Policy(), root, NOW)
    return made


def test_the_authority_issues_and_revokes_with_its_key_in_the_tpm(home: Home, settings: Config, tpm: Swtpm):
    issuer = open_issuer(settings, Policy(), home)
    for number in range(5):
        name = f"gw-{number}"
        leaf, intermediate = issuer.issue(request(name), gateway_profile(name, Policy(), NOW))
        leaf.verify_directly_issued_by(intermediate)
        intermediate.verify_directly_issued_by(issuer.roots()[0])
    revoked = Revoked(key_id(intermediate), leaf.serial_number, NOW, x509.ReasonFlags.certificate_hold)
    listed = crl.read(issuer.crl([revoked], 7, NOW))[0]
    assert listed.is_signature_valid(intermediate.public_key())
    assert listed.get_revoked_certificate_by_serial_number(leaf.serial_number) is not None
    assert left_in(tpm) == []


def test_the_key_in_the_file_is_of_no_use_without_its_tpm(home: Home, other_tpm: Swtpm):
    file = Folder(home).current().key.file
    assert b"TSS2 PRIVATE KEY" in file.read_bytes()
    key = open_tpm_key(other_tpm.tcti, file)
    with pytest.raises(SignerError, match="does not sign"):
        key.sign(b"data", SHA256)


def test_a_new_process_finds_the_key_again(tmp_path: Path, tpm: Swtpm):
    made = make_tpm_key(tpm.tcti, tmp_path / "key.tss.pem")
    found = open_tpm_key(tpm.tcti, tmp_path / "key.tss.pem")
    assert found.public_key() == made.public_key()
    found.public_key().verify(found.sign(b"data", SHA256), b"data", SHA256)


def test_a_tpm_that_was_away_signs_again_when_it_is_back(tmp_path: Path, tpm: Swtpm):
    key = make_tpm_key(tpm.tcti, tmp_path / "key.tss.pem")
    tpm.kill()
    with pytest.raises(SignerError, match="does not sign"):
        key.sign(b"data", SHA256)
    tpm.start()
    key.public_key().verify(key.sign(b"data", SHA256), b"data", SHA256)


def test_an_authority_moves_into_the_tpm_and_its_former_list_goes_on(tmp_path: Path, settings: Config):
    home = Home(tmp_path / "moving")
    ceremony.create_root(home, passphrase=PASSPHRASE, now=NOW)
    root = ceremony.root_key(home, home.offline, PASSPHRASE)
    ceremony.create_intermediate(home, Config(), Policy(), root, NOW)
    ceremony.create_intermediate(home, settings, Policy(), root, NOW + timedelta(minutes=1))
    kinds = [each.key.kind for each in Folder(home).intermediates()]
    assert kinds == ["tpm", "file"]
    lists = crl.read(open_issuer(settings, Policy(), home).crl([], 1, NOW))
    assert len(lists) == 3


@pytest.mark.parametrize("damage", [b"", b"hello", b"-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n"])
def test_a_damaged_file_is_said_in_one_line(tmp_path: Path, tpm: Swtpm, damage: bytes):
    path = tmp_path / "key.tss.pem"
    path.write_bytes(damage)
    with pytest.raises(SignerError, match="is no key of a TPM") as refused:
        open_tpm_key(tpm.tcti, path)
    assert "\n" not in str(refused.value)
