"""The device key in the TPM: nobody takes it away, and whatever goes wrong is one clear line."""

import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from tpm2_pytss import (
    ESYS_TR,
    TPM2_ALG,
    TPM2_CC,
    TPM2_SE,
    TPMA_OBJECT,
    TPMT_SYM_DEF,
    TPMT_SYM_DEF_OBJECT,
    TSS2_Exception,
)

from gateway.errors import IdentityError, TpmError
from gateway.identity.config import Config
from gateway.identity.keys import Keys, keys_of, open_keys
from gateway.identity.tpm import device_key
from gateway.identity.tpm.calls import call
from gateway.identity.tpm.chip import SRK, Chip
from tests.system.harness.swtpm import Swtpm
from tests.tpm.conftest import left_in, tool


def test_a_new_key_is_made_in_the_tpm_and_fixed_to_it(key_file: Path, keys: Keys):
    assert keys.kind == "tpm"
    assert key_file.read_text().startswith("-----BEGIN TSS2 PRIVATE KEY-----")
    assert key_file.stat().st_mode & 0o777 == 0o600
    made = device_key.parsed(key_file.read_bytes())
    needed = (
        TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT | TPMA_OBJECT.SENSITIVEDATAORIGIN | TPMA_OBJECT.NODA
    )
    assert made.public.publicArea.objectAttributes & needed == needed
    assert made.parent == SRK


def test_the_tpm_refuses_to_export_the_key(key_file: Path, tpm: Swtpm):
    none, plain = TPMT_SYM_DEF(algorithm=TPM2_ALG.NULL), TPMT_SYM_DEF_OBJECT(algorithm=TPM2_ALG.NULL)
    with Chip(tpm.tcti) as chip, device_key.loaded(chip, key_file.read_bytes()) as handle:
        session = chip.esapi.start_auth_session(
            ESYS_TR.NONE, ESYS_TR.NONE, TPM2_SE.POLICY, none, TPM2_ALG.SHA256
        )
        with chip.held(session):
            chip.esapi.policy_command_code(session, TPM2_CC.Duplicate)
            with pytest.raises(TSS2_Exception, match="policy"):
                chip.esapi.duplicate(handle, ESYS_TR.RH_NULL, None, plain, session1=session)


def test_a_copied_key_is_of_no_use_to_another_tpm(key_file: Path, other_tpm: Swtpm, tmp_path: Path):
    elsewhere = Config(tcti=other_tpm.tcti)
    open_keys(elsewhere).create(tmp_path / "its-own.pem")  # so it has a storage key
    with pytest.raises(
        IdentityError, match=r"key\.pem: this key belongs to another TPM.*card copied.*Enrol again"
    ):
        keys_of(key_file, elsewhere).sign(key_file, b"let me in")
    assert left_in(other_tpm) == []


def test_a_key_of_before_the_tpm_was_cleared_says_so(tmp_path: Path, other_tpm: Swtpm):
    its_own = open_keys(Config(tcti=other_tpm.tcti))
    its_own.create(tmp_path / "old.pem")
    tool(other_tpm, "tpm2_clear")
    with pytest.raises(IdentityError, match="this one was cleared"):
        its_own.sign(tmp_path / "old.pem", b"x")
    its_own.create(tmp_path / "new.pem")
    with pytest.raises(IdentityError, match="this one was cleared"):
        its_own.sign(tmp_path / "old.pem", b"x")
    assert its_own.sign(tmp_path / "new.pem", b"x")


def test_the_request_is_signed_by_the_key_and_names_the_gateway(key_file: Path, keys: Keys):
    request = x509.load_der_x509_csr(keys.csr(key_file, "house-7"))
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=house-7"
    public = request.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(keys.sign(key_file, b"data"), b"data", ec.ECDSA(hashes.SHA256()))


def test_two_keys_have_one_storage_key(key_file: Path, keys: Keys, config: Config, tmp_path: Path):
    keys.create(tmp_path / "second.pem")
    first, second = (
        load_der_public_key(call("check", config.tcti, 10, key=path.read_bytes())["public"])
        for path in (key_file, tmp_path / "second.pem")
    )
    assert first != second


def test_no_task_leaves_anything_in_the_tpm(key_file: Path, keys: Keys, tpm: Swtpm):
    for _ in range(5):  # there is room for three
        keys.csr(key_file, "house-7")
        keys.sign(key_file, b"x")
        attester = keys.attester()
        assert attester
        attester.begin(key_file)
    assert left_in(tpm) == []


@pytest.mark.parametrize(
    "damage", ["", "half", "-----BEGIN TSS2 PRIVATE KEY-----\nAAAA\n-----END TSS2 PRIVATE KEY-----\n"]
)
def test_a_damaged_key_file_is_one_clear_line(key_file: Path, config: Config, damage: str):
    text = key_file.read_text()
    key_file.write_text(text[: len(text) // 2] if damage == "half" else damage)
    with pytest.raises(IdentityError, match=r"key\.pem: .*enrol again"):
        keys_of(key_file, config).sign(key_file, b"x")


def test_a_single_flipped_bit_is_noticed_by_the_tpm(key_file: Path, keys: Keys, tpm: Swtpm):
    lines = key_file.read_text().splitlines()
    lines[-3] = lines[-3][:10] + ("A" if lines[-3][10] != "A" else "B") + lines[-3][11:]
    key_file.write_text("\n".join(lines) + "\n")
    with pytest.raises(IdentityError, match="Enrol again"):
        keys.sign(key_file, b"x")
    assert left_in(tpm) == []


def test_a_tpm_that_hangs_costs_no_more_than_its_limit(key_file: Path, tpm: Swtpm):
    hasty = open_keys(Config(tcti=tpm.tcti, tpm_timeout_s=1))
    tpm.freeze()
    begin_s = time.monotonic()
    with pytest.raises(TpmError, match="no answer of the TPM within 1 s"):
        hasty.sign(key_file, b"x")
    assert time.monotonic() - begin_s < 4
    tpm.restart()
    assert hasty.sign(key_file, b"x")


def test_a_tpm_that_is_gone_is_one_clear_line_and_its_return_is_enough(
    key_file: Path, keys: Keys, tpm: Swtpm
):
    tpm.kill()
    with pytest.raises(TpmError, match="cannot be reached at swtpm:"):
        keys.sign(key_file, b"x")
    tpm.start()
    assert keys.sign(key_file, b"x")


def test_a_tpm_in_lockout_still_signs_since_our_key_is_exempt(
    key_file: Path, keys: Keys, tpm: Swtpm, tmp_path: Path
):
    tool(tpm, "tpm2_dictionarylockout", "--setup-parameters", "--max-tries=1", "--recovery-time=1000")
    guarded = ("-C", "0x81000001", "-p", "right", "-G", "ecc", "-u", tmp_path / "u", "-r", tmp_path / "r")
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
    tool(tpm, "tpm2_create", *guarded, "-a", attributes)
    tool(
        tpm, "tpm2_load", "-C", "0x81000001", "-u", tmp_path / "u", "-r", tmp_path / "r", "-c", tmp_path / "c"
    )
    tool(tpm, "tpm2_flushcontext", "-t")
    (tmp_path / "x").write_bytes(b"x")
    for _ in range(2):
        with pytest.raises(Exception, match="tpm2_sign"):
            tool(tpm, "tpm2_sign", "-c", tmp_path / "c", "-p", "wrong", "-o", tmp_path / "s", tmp_path / "x")
        tool(tpm, "tpm2_flushcontext", "-t")
    try:
        assert keys.sign(key_file, b"x")
    finally:
        tool(tpm, "tpm2_dictionarylockout", "--clear-lockout")


def test_a_tpm_that_belongs_to_somebody_else_says_what_to_do(tmp_path: Path, other_tpm: Swtpm):
    tool(other_tpm, "tpm2_clear")
    tool(other_tpm, "tpm2_changeauth", "-c", "owner", "taken")
    try:
        with pytest.raises(TpmError, match=r"its owner has a password.*0x81000001"):
            open_keys(Config(tcti=other_tpm.tcti)).create(tmp_path / "key.pem")
    finally:
        tool(other_tpm, "tpm2_changeauth", "-c", "owner", "-p", "taken")
    assert not (tmp_path / "key.pem").exists()
