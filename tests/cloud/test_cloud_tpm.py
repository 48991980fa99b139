"""The cloud's half of attestation against a TPM in software; tests/system holds it against a real swtpm."""

from dataclasses import replace

import pytest

from cloud.errors import RefusedError
from cloud.tpm import certify
from cloud.tpm.credential import make_credential
from cloud.tpm.public import Public
from tests.fakes.softtpm import (
    AK_ATTRIBUTES,
    BOUND,
    DECRYPT,
    FIXED_PARENT,
    FIXED_TPM,
    KEY_ATTRIBUTES,
    MADE_INSIDE,
    RESTRICTED,
    SIGN,
    Key,
    SoftTpm,
    ec_key,
    endorsement_key,
    signature,
)

NONCE = bytes(range(32))
SECRET = bytes(range(100, 132))
TPM = SoftTpm()
OTHER = SoftTpm()
RSA_TPM = SoftTpm("RSA")


def public(key: Key) -> Public:
    return Public.read(key.public, "key")


def refused(reason: str) -> pytest.RaisesExc[RefusedError]:
    return pytest.raises(
        RefusedError, check=lambda error: error.reason == reason and "\n" not in error.detail
    )


# --- names and credentials --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384"])
def test_a_public_area_gives_the_key_and_the_name_that_the_tpm_computes(kind: str):
    ek = endorsement_key(kind)

    read = public(ek)

    assert read.name == ek.name
    assert read.key_der == ek.spki
    assert read.aes_bits == ek.aes_bits


@pytest.mark.parametrize("kind", ["RSA", "P-256", "P-384"])
def test_only_the_tpm_with_the_endorsement_key_opens_a_credential(kind: str):
    tpm, other = (RSA_TPM, SoftTpm("RSA")) if kind == "RSA" else (SoftTpm(kind), SoftTpm(kind))
    blob, encrypted = make_credential(public(tpm.ek), SECRET, tpm.ak.name)

    assert tpm.activate(blob, encrypted) == SECRET
    other.ak = tpm.ak
    with pytest.raises(ValueError, match=r"INTEGRITY|Decryption"):
        other.activate(blob, encrypted)


def test_a_tpm_opens_no_credential_for_an_attestation_key_that_it_does_not_hold():
    blob, encrypted = make_credential(public(TPM.ek), SECRET, OTHER.ak.name)

    with pytest.raises(ValueError, match="INTEGRITY"):
        TPM.activate(blob, encrypted)


def test_no_two_credentials_are_alike():
    first, second = (make_credential(public(TPM.ek), SECRET, TPM.ak.name) for _ in range(2))

    assert first.blob != second.blob
    assert first.encrypted_secret != second.encrypted_secret


@pytest.mark.parametrize(
    "attributes", [BOUND | DECRYPT, BOUND | RESTRICTED, BOUND | RESTRICTED | DECRYPT | SIGN]
)
def test_no_credential_is_made_for_a_key_that_would_decrypt_for_others(attributes: int):
    with refused("attestation-key-kind"):
        make_credential(public(replace(TPM.ek, attributes=attributes)), SECRET, TPM.ak.name)


def test_no_credential_is_made_for_a_key_that_names_no_cipher():
    with refused("attestation-malformed"):
        make_credential(public(replace(TPM.ek, aes_bits=None)), SECRET, TPM.ak.name)


# --- certify ----------------------------------------------------------------------------------------


def verify(
    attest: bytes, signed: bytes, *, ak: Key = TPM.ak, key: Key = TPM.key, nonce: bytes = NONCE
) -> None:
    certify.verify(public(ak), public(key), attest, signed, nonce)


def test_a_key_in_the_tpm_is_certified():
    verify(*TPM.certify(NONCE))


def test_a_replayed_certification_is_refused():
    with refused("attestation-nonce"):
        verify(*TPM.certify(bytes(32)))


def test_the_certification_of_another_key_of_the_same_tpm_is_refused():
    with refused("attestation-other-key"):
        verify(*TPM.certify(NONCE, key=ec_key(KEY_ATTRIBUTES)))


def test_a_certification_by_another_attestation_key_is_refused():
    with refused("attestation-signature"):
        verify(*TPM.certify(NONCE, ak=OTHER.ak))


@pytest.mark.parametrize("at", [0, 5, 20, 50, 70, 100, -1])
def test_an_altered_attestation_is_refused(at: int):
    attest, signed = TPM.certify(NONCE)
    altered = bytearray(attest)
    altered[at] ^= 1

    with refused("attestation-signature"):
        verify(bytes(altered), signed)


@pytest.mark.parametrize("head", ["ff54434780188017", "0000000080178017"])
def test_what_the_tpm_did_not_say_of_a_key_is_refused_even_if_it_is_signed(head: str):
    attest, _ = TPM.certify(NONCE)
    made_up = bytes.fromhex(head)[:6] + attest[6:]

    with refused("attestation-kind"):
        verify(made_up, signature(TPM.ak, made_up))


def test_bytes_after_a_signed_attestation_are_refused():
    attest, _ = TPM.certify(NONCE)

    with refused("attestation-malformed"):
        verify(attest + b"\0", signature(TPM.ak, attest + b"\0"))


@pytest.mark.parametrize("lost", [RESTRICTED, SIGN, FIXED_TPM, FIXED_PARENT, MADE_INSIDE])
def test_an_attestation_key_that_signs_anything_or_may_leave_is_refused(lost: int):
    ak = replace(TPM.ak, attributes=AK_ATTRIBUTES & ~lost)

    with refused("attestation-key-kind"):
        verify(*TPM.certify(NONCE, ak=ak), ak=ak)


@pytest.mark.parametrize("lost", [SIGN, FIXED_TPM, FIXED_PARENT, MADE_INSIDE])
def test_a_key_that_came_from_outside_or_may_leave_is_refused(lost: int):
    key = replace(TPM.key, attributes=KEY_ATTRIBUTES & ~lost)

    with refused("attestation-key-kind"):
        verify(*TPM.certify(NONCE, key=key), key=key)


def test_a_restricted_key_is_no_key_for_tls():
    key = replace(TPM.key, attributes=KEY_ATTRIBUTES | RESTRICTED)

    with refused("attestation-key-kind"):
        verify(*TPM.certify(NONCE, key=key), key=key)
