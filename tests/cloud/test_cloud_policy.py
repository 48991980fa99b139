"""What is certified, as settings and as a pure function of bytes."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from cloud.ca.config import Config
from cloud.ca.policy import Policy, check_request
from cloud.errors import RefusedError
from cloud.registry.config import Enrolment, Public
from tests.fakes.device import csr_der, new_key

REQUEST = csr_der(new_key(), "gw-1")


def test_p384_is_certified_where_the_policy_allows_it():
    request = csr_der(ec.generate_private_key(ec.SECP384R1()), "gw-1")
    check_request(request, "gw-1", Policy(allow_p384=True))
    with pytest.raises(RefusedError, match="csr-key"):
        check_request(request, "gw-1", Policy())


@given(st.binary(max_size=400))
def test_arbitrary_bytes_are_refused(body: bytes):
    with pytest.raises(RefusedError, match="csr-"):
        check_request(body, "gw-1", Policy())


@given(st.integers(0, len(REQUEST) - 1), st.integers(1, 255))
def test_a_request_with_one_changed_byte_is_refused(at: int, change: int):
    broken = REQUEST[:at] + bytes([REQUEST[at] ^ change]) + REQUEST[at + 1 :]
    with pytest.raises(RefusedError) as refused:
        check_request(broken, "gw-1", Policy())
    assert refused.value.status == 400
    assert str(refused.value).isprintable()


@given(st.integers(0, len(REQUEST) - 1))
def test_a_request_that_was_cut_off_is_refused(length: int):
    with pytest.raises(RefusedError, match="csr-broken"):
        check_request(REQUEST[:length], "gw-1", Policy())


NAME = b"\x0c\x04gw-1"
"""UTF8String, as our requests write it."""


@pytest.mark.parametrize(
    "name",
    [
        b"\x0c\x04g\xff\xfe1",
        b"\x02\x04gw-1",
        b"\x03\x04gw-1",
        b"\x1c\x04gw-1",
        b"\x1e\x04gw-1",
        b"\x0c\x04gw\x001",
    ],
)
def test_a_signed_request_with_a_name_that_cannot_be_read_is_refused(name: bytes):
    key = new_key()
    info = x509.load_der_x509_csr(csr_der(key, "gw-1")).tbs_certrequest_bytes
    assert info.count(NAME) == 1
    assert check_request(signed(info, key), "gw-1", Policy()).is_signature_valid
    with pytest.raises(RefusedError, match=r"csr-(broken|name)") as refused:
        check_request(signed(info.replace(NAME, name), key), "gw-1", Policy())
    assert str(refused.value).isprintable()


def signed(info: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a request (RFC 2986) around what is to be signed, whatever that is."""
    signature = key.sign(info, ec.ECDSA(hashes.SHA256()))
    ecdsa_with_sha256 = bytes.fromhex("300a06082a8648ce3d040302")
    body = info + ecdsa_with_sha256 + b"\x03" + bytes([len(signature) + 1]) + b"\0" + signature
    return b"\x30\x81" + bytes([len(body)]) + body


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"gateway_days": 0}, "gateway_days 0 is out of range"),
        ({"gateway_days": 1000}, "gateway_days 1000 is out of range"),
        ({"crl_days": 1000}, "crl_days 1000 is out of range"),
        ({"crl_days": 1, "crl_refresh_s": 80_000}, "CRLs have to overlap"),
        ({"recovery_days": -1}, "recovery_days -1 is out of range"),
        ({"backdate_s": 1_000_000}, "backdate_s 1000000 is out of range"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(changed: dict[str, float], words: str):
    with pytest.raises(ValueError, match=words):
        Policy(**changed)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["", "a b", "https://example.com", "example.com/", "-x", "ex\nample"])
def test_a_host_is_a_name_or_an_address(host: str):
    with pytest.raises(ValueError, match="is no host name or address"):
        Public(host=host)


def test_the_address_for_people_has_the_port_and_brackets_where_needed():
    assert Public(host="cloud.example.com").url == "https://cloud.example.com:8443"
    assert Public(host="2001:db8::1", https_port=443).url == "https://[2001:db8::1]:443"
    with pytest.raises(ValueError, match="https_port 0"):
        Public(https_port=0)


def test_our_names_stand_once_each():
    public = Public(host="a.example", more_hosts=("b.example", "a.example"), broker_host="mqtt.example")
    assert public.hosts == ("a.example", "b.example", "mqtt.example")


def test_settings_that_need_each_other_are_asked_for():
    with pytest.raises(ValueError, match="needs pkcs11_module"):
        Config(key="pkcs11")
    with pytest.raises(ValueError, match="needs est_url"):
        Config(issuer="est", est_url="http://ca.example.com")
    with pytest.raises(ValueError, match="tries 0 is out of range"):
        Enrolment(tries=0)
