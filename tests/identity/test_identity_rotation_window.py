"""From when to when a certificate is valid, read without a library, against the library."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.identity.window import Window, chance, window

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(begin: datetime, end: datetime, name: str = "hq-01") -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, KEY.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(begin).not_valid_after(end)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.PEM)


WHOLE = certificate(datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 12, 23, tzinfo=UTC))

moments = st.datetimes(datetime(1951, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=50)
@given(moments, st.timedeltas(timedelta(seconds=1), timedelta(days=30_000)))
def test_the_times_are_those_that_the_library_reads(begin: datetime, length: timedelta):
    pem = certificate(begin, begin + length)
    read = x509.load_pem_x509_certificate(pem)

    wanted = Window(read.not_valid_before_utc.timestamp(), read.not_valid_after_utc.timestamp())
    assert window(pem) == (wanted if wanted.begin_unix_s < wanted.end_unix_s else None)


def test_only_the_first_certificate_of_a_chain_counts():
    now = datetime(2026, 11, 23, tzinfo=UTC)
    ours, authority = certificate(now, now + timedelta(days=30)), certificate(now, now + timedelta(days=3000))

    assert window(b"bag attributes\n" + ours + authority) == window(ours) != window(authority)


@settings(max_examples=500)
@given(
    st.dictionaries(st.floats(0, 1, exclude_max=True), st.integers(0, 255), max_size=8),
    st.floats(0, 1),
    st.booleans(),
)
def test_a_damaged_certificate_is_no_reason_to_fail(changes: dict[float, int], kept: float, in_der: bool):
    whole = bytearray(ssl.PEM_cert_to_DER_cert(WHOLE.decode()) if in_der else WHOLE)
    for place, value in changes.items():
        whole[int(place * len(whole))] = value
    cut = bytes(whole[: int(kept * len(whole))])

    window(ssl.DER_cert_to_PEM_cert(cut).encode() if in_der else cut)


@pytest.mark.parametrize("text", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----"])
def test_what_is_no_certificate_has_no_validity(text: bytes):
    assert window(text) is None


def test_each_certificate_has_a_chance_of_its_own_and_keeps_it():
    now = datetime(2026, 11, 23, tzinfo=UTC)
    pems = [certificate(now, now + timedelta(days=30), f"hq-{n}") for n in range(64)]
    chances = [chance(pem) for pem in pems]

    assert chances == [chance(pem) for pem in pems]
    assert len(set(chances)) == len(chances)
    assert all(0 <= one < 1 for one in chances)
    # spread over the whole range: no half of it stays empty
    assert min(chances) < 0.25
    assert max(chances) > 0.75
