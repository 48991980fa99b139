"""Whatever bytes come instead of a TPM's: a refusal in one line, and nothing else."""

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.errors import RefusedError
from cloud.tpm import certify
from cloud.tpm.endorsement import Makers
from cloud.tpm.public import Public
from tests.fakes.softtpm import (
    NOW,
    Key,
    Maker,
    SoftTpm,
    signature,
)

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
NONCE = bytes(range(32))
TPM, RSA_TPM = SoftTpm(), SoftTpm("RSA")
ROOT = Maker.root()
INTERMEDIATE = ROOT.intermediate()
MAKERS = Makers((ROOT.certificate,), (INTERMEDIATE.certificate,))


def verify(
    attest: bytes, signed: bytes, *, ak: Key = TPM.ak, key: Key = TPM.key, nonce: bytes = NONCE
) -> None:
    certify.verify(Public.read(ak.public, "AK"), Public.read(key.public, "key"), attest, signed, nonce)


def vouch(certificate: bytes) -> None:
    MAKERS.vouch(certificate, Public.read(TPM.ek.public, "EK"), NOW)


@given(st.binary(max_size=400))
def test_no_bytes_for_a_public_area_raise_anything_but_a_refusal(data: bytes):
    with pytest.raises(RefusedError) as caught:
        Public.read(data, "key")
    assert "\n" not in caught.value.detail


@given(
    key=st.sampled_from([TPM.ek, TPM.ak, TPM.key, RSA_TPM.ek]),
    changes=st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), max_size=4),
    length=st.integers(0, 400),
)
@settings(max_examples=300)
def test_a_changed_public_area_is_refused_or_has_another_name(
    key: Key, changes: list[tuple[int, int]], length: int
):
    data = bytearray(key.public)
    for at, value in changes:
        data[at % len(data)] = value
    data = data[:length]
    try:
        read = Public.read(bytes(data), "key")
    except RefusedError:
        return
    assert (read.name == key.name) == (bytes(data) == key.public)


@given(attest=st.binary(max_size=300), signed=st.binary(max_size=300))
def test_no_bytes_are_taken_for_a_certification(attest: bytes, signed: bytes):
    with pytest.raises(RefusedError):
        verify(attest, signed)


@given(attest=st.binary(max_size=300))
def test_no_signed_bytes_but_the_tpms_own_are_taken_for_a_certification(attest: bytes):
    head = TPM.certify(NONCE)[0][:6]
    for signed in (attest, head + attest):
        with pytest.raises(RefusedError):
            verify(signed, signature(TPM.ak, signed))


GENUINE = INTERMEDIATE.certify(TPM.ek)


@given(
    changes=st.lists(st.tuples(st.integers(0, len(GENUINE) - 1), st.integers(0, 255)), max_size=5),
    length=st.integers(0, len(GENUINE)),
)
@settings(max_examples=400)
def test_a_certificate_of_a_tpm_is_believed_only_as_it_was_signed(
    changes: list[tuple[int, int]], length: int
):
    data = bytearray(GENUINE)
    for at, value in changes:
        data[at] = value
    data = data[:length]
    try:
        vouch(bytes(data))
    except RefusedError:
        return
    assert x509.load_der_x509_certificate(GENUINE).tbs_certificate_bytes in data


@given(st.binary(max_size=300))
def test_no_bytes_are_taken_for_a_certificate_of_a_tpm(data: bytes):
    with pytest.raises(RefusedError):
        vouch(data)


def test_a_certificate_of_a_version_that_does_not_exist_is_refused():
    version = GENUINE.index(bytes.fromhex("a003020102")) + 4

    with pytest.raises(RefusedError) as caught:
        vouch(GENUINE[:version] + b"\x21" + GENUINE[version + 1 :])
    assert caught.value.reason == "ek-certificate-malformed"
