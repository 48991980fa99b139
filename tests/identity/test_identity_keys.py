"""Where our key lies, as configured; and keys in files. Keys in a TPM: tests/tpm."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from gateway.errors import ConfigError, IdentityError, TpmError
from gateway.identity.config import Config
from gateway.identity.keys import keys_of, open_keys

NO_TPM = "device:/nowhere/tpmrm0"
WITHOUT = Config(tcti=NO_TPM)
IN_FILES = Config(tcti=NO_TPM, allow_software_key=True)


def test_without_a_tpm_there_is_no_key_unless_it_is_allowed():
    with pytest.raises(TpmError, match=r"no TPM at /nowhere/tpmrm0; .*allow_software_key = true"):
        open_keys(WITHOUT)
    assert open_keys(IN_FILES).kind == "software"


def test_who_insists_on_a_tpm_gets_no_file_even_if_it_is_allowed():
    with pytest.raises(TpmError, match="no TPM at /nowhere/tpmrm0") as caught:
        open_keys(Config(key="tpm", tcti=NO_TPM, allow_software_key=True))
    assert "allow_software_key" not in str(caught.value)


def test_with_a_tpm_keys_lie_there_even_if_files_are_allowed(tmp_path: Path):
    (tmp_path / "tpmrm0").touch()
    present = Config(tcti=f"device:{tmp_path}/tpmrm0", allow_software_key=True)
    assert open_keys(present).kind == "tpm"
    assert open_keys(Config(key="software", tcti=present.tcti, allow_software_key=True)).kind == "software"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"key": "software"}, 'key: "software" needs allow_software_key = true'),
        ({"renew_at": 0.05}, "renew_at: 0.05 is out of range; give 0.1 to 0.95"),
        ({"tpm_timeout_s": 0}, "tpm_timeout_s: 0 is out of range; give 1 to 300"),
        ({"tcti": " "}, "tcti: is empty"),
    ],
)
def test_a_configuration_that_cannot_be_meant_is_refused(keys: dict[str, object], said: str):
    with pytest.raises(ConfigError) as caught:
        Config(**keys)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_a_file_says_what_its_key_is_used_with(tmp_path: Path):
    open_keys(IN_FILES).create(tmp_path / "key.pem")
    assert keys_of(tmp_path / "key.pem", WITHOUT).kind == "software"
    (tmp_path / "key.pem").write_text("-----BEGIN TSS2 PRIVATE KEY-----\n")
    assert keys_of(tmp_path / "key.pem", WITHOUT).kind == "tpm"


def test_a_key_in_a_file_is_readable_by_its_owner_only_and_signs(tmp_path: Path):
    key_file = tmp_path / "key.pem"
    keys = open_keys(IN_FILES)
    keys.create(key_file)
    assert key_file.stat().st_mode & 0o777 == 0o600
    request = x509.load_der_x509_csr(keys.csr(key_file, "house-7"))
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=house-7"
    public = request.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert isinstance(public.curve, ec.SECP256R1)
    public.verify(keys.sign(key_file, b"data"), b"data", ec.ECDSA(hashes.SHA256()))
    assert keys.attester() is None


def test_each_new_key_is_another_one(tmp_path: Path):
    keys = open_keys(IN_FILES)
    keys.create(tmp_path / "key.pem")
    first = (tmp_path / "key.pem").read_bytes()
    keys.create(tmp_path / "key.pem")
    assert (tmp_path / "key.pem").read_bytes() != first
    assert list(tmp_path.iterdir()) == [tmp_path / "key.pem"]


def test_a_missing_key_file_is_one_clear_line(tmp_path: Path):
    with pytest.raises(IdentityError, match=r"key\.pem: our key cannot be read: No such file"):
        keys_of(tmp_path / "key.pem", WITHOUT)


def test_a_folder_that_takes_no_file_is_one_clear_line(tmp_path: Path):
    with pytest.raises(IdentityError, match="the new key cannot be written"):
        open_keys(IN_FILES).create(tmp_path / "missing" / "key.pem")


def private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, password: bytes = b"") -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


UNUSABLE = {
    "empty": b"",
    "another thing": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "cut": private_pem(ec.generate_private_key(ec.SECP256R1()))[:120],
    "another curve": private_pem(ec.generate_private_key(ec.SECP384R1())),
    "another kind": private_pem(rsa.generate_private_key(65537, 2048)),
    "locked": private_pem(ec.generate_private_key(ec.SECP256R1()), b"password"),
}


@pytest.mark.parametrize("pem", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_file_that_holds_no_key_of_ours_is_one_clear_line(tmp_path: Path, pem: bytes):
    (tmp_path / "key.pem").write_bytes(pem)
    with pytest.raises(IdentityError, match=r"key\.pem: .*enrol again"):
        keys_of(tmp_path / "key.pem", IN_FILES).sign(tmp_path / "key.pem", b"x")
