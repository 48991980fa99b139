"""Signatures: what PyJWT made is read, and nothing is believed that PyJWT would refuse."""

import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm
from jwt.utils import base64url_encode

from gateway.link import jws

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1()).public_key()
CLAIMS = b'{"a": 1}'
TOKEN = jwt.PyJWS().encode(CLAIMS, KEY, algorithm="ES256").encode()


def read_by_pyjwt(token: bytes) -> bytes | None:
    try:
        read: bytes = jwt.PyJWS().decode(token, KEY.public_key(), algorithms=["ES256"])
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    return read


def signed(header: bytes) -> bytes:
    """A token with any header, whose signature is good."""
    message = base64url_encode(header) + b"." + base64url_encode(CLAIMS)
    return message + b"." + base64url_encode(ECAlgorithm(ECAlgorithm.SHA256).sign(message, KEY))


def test_any_of_the_keys_may_have_signed():
    assert jws.payload(TOKEN, [OTHER, KEY.public_key()]) == CLAIMS
    assert jws.payload(TOKEN, [OTHER]) is None
    assert jws.payload(TOKEN, []) is None


@given(st.binary(max_size=300))
def test_whatever_is_signed_is_read(claims: bytes):
    token = jwt.PyJWS().encode(claims, KEY, algorithm="ES256").encode()

    assert jws.payload(token, [KEY.public_key()]) == claims


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "ES384"},
        {"alg": "none"},
        {"alg": ["ES256"]},
        {"typ": "JWT"},
        {"alg": "ES256", "crit": ["exp"], "exp": 1},
        ["ES256"],
        "ES256",
    ],
)
def test_a_good_signature_under_another_header_counts_for_nothing(header: object):
    assert jws.payload(signed(json.dumps(header).encode()), [KEY.public_key()]) is None


@pytest.mark.parametrize("header", [b"", b"{", b"\xff", b"[" * 5000, b'{"alg":"ES256"', b"null"])
def test_a_header_that_is_no_object_counts_for_nothing(header: bytes):
    assert jws.payload(signed(header), [KEY.public_key()]) is None


def test_a_header_with_more_to_say_is_no_problem():
    token = signed(b'{"typ":"reed","alg":"ES256","kid":"7"}')

    assert jws.payload(token, [KEY.public_key()]) == CLAIMS == read_by_pyjwt(token)


@pytest.mark.parametrize(
    "token",
    [TOKEN + b"\n", TOKEN + b"=", b" " + TOKEN, TOKEN + b".", TOKEN[:-1], TOKEN.rpartition(b".")[0] + b"."],
)
def test_a_token_in_another_form_counts_for_nothing(token: bytes):
    assert jws.payload(token, [KEY.public_key()]) is None


def test_a_signature_of_zeros_counts_for_nothing():
    zeros = TOKEN.rpartition(b".")[0] + b"." + base64url_encode(bytes(64))

    assert jws.payload(zeros, [KEY.public_key()]) is None


@given(
    st.lists(st.tuples(st.integers(0, len(TOKEN) - 1), st.integers(0, 255)), min_size=1, max_size=3),
    st.integers(0, len(TOKEN)),
)
def test_a_damaged_token_is_read_only_as_pyjwt_reads_it(damage: list[tuple[int, int]], end: int):
    token = bytearray(TOKEN)
    for at, value in damage:
        token[at] = value

    for each in (bytes(token), bytes(token[:end])):
        assert jws.payload(each, [KEY.public_key()]) in (None, read_by_pyjwt(each))
