"""The wire formats of enrolment, whatever bytes come."""

import base64
import json
import subprocess

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from cloud.errors import RefusedError
from cloud.est import wire
from tests.fakes.softtpm import Maker

MESSAGES = (wire.AttestationBegin, wire.AttestationAnswer, wire.RecoveryBegin, wire.RecoveryAnswer)


@given(st.binary(max_size=300), st.integers(1, 100))
def test_what_was_encoded_is_decoded_however_its_lines_are_broken(data: bytes, width: int):
    text = wire.encoded(data)
    assert all(len(line) <= 64 for line in text.split(b"\r\n"))

    packed = text.replace(b"\r\n", b"")
    broken = b"\n".join(packed[at : at + width] for at in range(0, len(packed), width))

    assert wire.decoded(text, "it") == wire.decoded(broken, "it") == data


@given(st.binary(max_size=300))
def test_no_bytes_instead_of_base64_raise_anything_but_a_refusal(data: bytes):
    try:
        decoded = wire.decoded(data, "it")
    except RefusedError as refused:
        assert (refused.status, "\n" in refused.detail) == (400, False)  # noqa: PT017  # it may also be good
        return
    assert base64.b64encode(decoded) == data.translate(None, b" \t\r\n")


@given(kind=st.sampled_from(MESSAGES), body=st.binary(max_size=300))
def test_no_bytes_instead_of_json_raise_anything_but_a_refusal(kind: type, body: bytes):
    with pytest.raises(RefusedError):
        wire.read(body, kind)


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
)


@given(kind=st.sampled_from(MESSAGES), data=st.data())
def test_no_json_raises_anything_but_a_refusal(kind: type, data: st.DataObject):
    names = st.sampled_from([*kind.__struct_fields__, "other"])
    message = data.draw(st.dictionaries(names, ANY_JSON, max_size=5) | ANY_JSON)
    try:
        read = wire.read(json.dumps(message).encode(), kind)
    except RefusedError as refused:
        assert "\n" not in refused.detail  # noqa: PT017  # it may also be good
        return
    assert all(isinstance(getattr(read, name), str) for name in kind.__struct_fields__)


@given(st.binary(max_size=300))
def test_no_bytes_instead_of_a_certificate_raise_anything_but_a_refusal(data: bytes):
    with pytest.raises(RefusedError):
        wire.certificate_of(data, "it")
    der = base64.encodebytes(data)
    with pytest.raises(RefusedError):
        wire.certificate_of(b"-----BEGIN CERTIFICATE-----\n" + der + b"-----END CERTIFICATE-----\n", "it")


GENUINE = Maker.root().certificate


@given(st.lists(st.tuples(st.integers(0, 399), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_changed_certificate_is_refused_or_can_be_asked_for_its_names(changes: list[tuple[int, int]]):
    der = bytearray(GENUINE.public_bytes(Encoding.DER))
    for at, value in changes:
        der[at % len(der)] = value
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(bytes(der)) + b"-----END CERTIFICATE-----\n"
    try:
        certificate = wire.certificate_of(pem, "it")
    except RefusedError:
        return
    assert certificate.subject is not None
    assert certificate.public_key() is not None


def test_openssl_reads_the_attributes_that_we_ask_for():
    said = subprocess.run(
        ["openssl", "asn1parse", "-inform", "DER"], input=wire.CSR_ATTRIBUTES, capture_output=True, check=True
    ).stdout.decode()

    assert [line.rsplit(":", 1)[1] for line in said.splitlines() if "OBJECT" in line] == [
        "id-ecPublicKey",
        "prime256v1",
        "ecdsa-with-SHA256",
    ]
