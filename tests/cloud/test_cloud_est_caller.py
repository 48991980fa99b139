"""Who calls, as the application sees it behind nginx: nothing but a verified certificate counts."""

import base64
import urllib.parse

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from django.http import HttpRequest

from cloud.errors import RefusedError
from cloud.est import caller
from tests.fakes.softtpm import Maker

GENUINE = Maker.root().certificate
PEM = urllib.parse.quote(GENUINE.public_bytes(Encoding.PEM).decode())


def request(**headers: str) -> HttpRequest:
    made = HttpRequest()
    made.META = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return made


def test_a_verified_certificate_is_taken():
    asked = request(x_reed_client_verify="SUCCESS", x_reed_client_cert=PEM)

    assert caller.certificate(asked) == GENUINE


@pytest.mark.parametrize(
    "verify", ["NONE", "", "FAILED:certificate revoked", "FAILED", "success", "SUCCESS, NONE"]
)
def test_a_certificate_that_nginx_did_not_verify_is_none(verify: str):
    with pytest.raises(RefusedError) as caught:
        caller.certificate(request(x_reed_client_verify=verify, x_reed_client_cert=PEM))
    assert caught.value.reason == "certificate-missing"


def test_without_a_word_of_nginx_there_is_no_certificate():
    with pytest.raises(RefusedError) as caught:
        caller.certificate(request(x_reed_client_cert=PEM))
    assert caught.value.reason == "certificate-missing"


@pytest.mark.parametrize("escaped", ["", "x", "%", "%ff%00", PEM[:200], PEM.replace("A", "%41")[:-40]])
def test_a_certificate_that_cannot_be_read_is_refused(escaped: str):
    with pytest.raises(RefusedError) as caught:
        caller.certificate(request(x_reed_client_verify="SUCCESS", x_reed_client_cert=escaped))
    assert caught.value.reason == "certificate-broken"


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_a_token_is_an_id_and_a_secret(scheme: str):
    text = base64.b64encode(b"house-7:abc:def").decode()

    assert caller.token(request(authorization=f"{scheme} {text}")) == ("house-7", "abc:def")
