"""A cloud that sends the wrong certificate: it is refused in one line, and the pair in use stays as it is."""

import ssl
import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.errors import IdentityError
from gateway.identity.issued import check
from gateway.identity.rotation import renew
from tests.fakes import est_cloud
from tests.fakes.enrolled import CONFIG, enrolled, loads, working
from tests.fakes.est_cloud import Cloud
from tests.fakes.issuer import DAY, SERVER, Issuer, key_pem, pem

Wrong = Callable[[Issuer, ec.EllipticCurvePublicKey], x509.Certificate]


def _another_key(issuer: Issuer, _: ec.EllipticCurvePublicKey) -> x509.Certificate:
    return issuer.issue(ec.generate_private_key(ec.SECP256R1()).public_key(), "hq-01")


WRONG: dict[str, tuple[Wrong, str]] = {
    "another key": (_another_key, "no certificate for our key"),
    "another name": (lambda issuer, key: issuer.issue(key, "hq-02"), "hq-02, not hq-01"),
    "a server's": (lambda issuer, key: issuer.issue(key, "hq-01", usage=SERVER), "not for TLS clients"),
    "expired": (
        lambda issuer, key: issuer.issue(key, "hq-01", starts=issuer.now - 2 * DAY, ends=issuer.now - DAY),
        "valid from .* check this machine's clock",
    ),
    "not yet valid": (
        lambda issuer, key: issuer.issue(key, "hq-01", starts=issuer.now + DAY),
        "valid from .* check this machine's clock",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_certificate_is_refused_and_the_next_renewal_works(tmp_path: Path, wrong: str):
    make, says = WRONG[wrong]

    class Confused(Cloud):
        def _issue(self, _: str, csr: x509.CertificateSigningRequest) -> x509.Certificate:
            return make(self.authority, csr.public_key())  # type: ignore[arg-type]

    _refused_then_renewed(tmp_path, Confused(Issuer(tmp_path / "authority")), says)


def test_a_certificate_of_another_authority_is_refused(tmp_path: Path):
    other = Issuer(tmp_path / "other")

    class Confused(Cloud):
        def _issue(self, _: str, csr: x509.CertificateSigningRequest) -> x509.Certificate:
            return other.issue(csr.public_key(), "hq-01")  # type: ignore[arg-type]

    confused = Confused(Issuer(tmp_path / "authority"))
    _refused_then_renewed(tmp_path, confused, "does not come from an authority of ours")


@pytest.mark.parametrize(
    "body", [b"", b"garbage", b"AAAA", b"MIIB", b"\xff" * 1000, b"A" * 1_000_000, b"MAsGCSqGSIb3DQEHAg=="]
)
def test_garbage_is_refused(tmp_path: Path, body: bytes):
    cloud = Cloud(Issuer(tmp_path / "authority"))

    def before(handler: BaseHTTPRequestHandler) -> bool:
        if not handler.path.endswith("simplereenroll"):
            return False
        handler.send_response(200)
        handler.send_header("Content-Type", "application/pkcs7-mime; smime-type=certs-only")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
        return True

    cloud.before = before
    _refused_then_renewed(tmp_path, cloud, "https://localhost")


def _refused_then_renewed(tmp_path: Path, cloud: Cloud, says: str) -> None:
    with est_cloud.served(cloud):
        slots = enrolled(tmp_path / "identity", cloud)
        before = working(slots)
        with pytest.raises(IdentityError, match=says) as refused:
            renew(slots, CONFIG, time.time())

        assert "\n" not in str(refused.value)
        assert working(slots) == before
        assert (slots.trial(), slots.spare()) == (None, None)
        assert slots.attempt is not None
        assert (slots.attempt.outcome, slots.attempt.detail) == ("failed", str(refused.value))

    with est_cloud.served(Cloud(cloud.authority)) as sane:
        slots = enrolled(tmp_path / "again", sane)
        loads(renew(slots, CONFIG, time.time()), slots)


# --- the check itself -----------------------------------------------------------------------------------


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    return Issuer(tmp_path / "authority")


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def checked(
    issuer: Issuer, key: ec.EllipticCurvePrivateKey, sent: bytes, now_s: float | None = None
) -> bytes:
    return check(
        sent,
        public_key_der=key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        gateway_id="hq-01",
        roots_pem=pem(issuer.root),
        now_unix_s=now_s,
    )


def test_whatever_the_order_ours_comes_out_first_and_no_root_at_all(
    issuer: Issuer, key: ec.EllipticCurvePrivateKey, tmp_path: Path
):
    ours = pem(issuer.issue(key.public_key(), "hq-01"))
    stranger = pem(Issuer(tmp_path / "other").root)
    wanted = ours + pem(issuer.intermediate)

    for parts in (
        [ours, pem(issuer.intermediate)],
        [pem(issuer.root), stranger, pem(issuer.intermediate), ours],
    ):
        assert checked(issuer, key, b"".join(parts)) == wanted


def test_a_chain_with_a_hole_is_refused(issuer: Issuer, key: ec.EllipticCurvePrivateKey):
    with pytest.raises(IdentityError, match="authority of ours"):
        checked(issuer, key, pem(issuer.issue(key.public_key(), "hq-01")))


def test_what_a_gateway_signs_is_no_chain(issuer: Issuer, key: ec.EllipticCurvePrivateKey):
    """A certificate that is no authority's must vouch for no other: each gateway could be any."""
    bad = ec.generate_private_key(ec.SECP256R1())
    theirs = issuer.issue(bad.public_key(), "hq-02")
    forger = Issuer.__new__(Issuer)
    forger.now, forger.intermediate, forger._key = issuer.now, theirs, bad
    forged = forger.issue(key.public_key(), "hq-01")

    with pytest.raises(IdentityError, match="authority of ours"):
        checked(issuer, key, pem(forged) + pem(theirs) + pem(issuer.intermediate))


def test_without_a_clock_dates_are_not_judged(issuer: Issuer, key: ec.EllipticCurvePrivateKey):
    sent = pem(issuer.issue(key.public_key(), "hq-01")) + pem(issuer.intermediate)
    far = (issuer.now + timedelta(days=5000)).timestamp()

    assert checked(issuer, key, sent, None)
    with pytest.raises(IdentityError, match="valid from"):
        checked(issuer, key, sent, far)


@pytest.mark.parametrize("damage", range(0, 600, 29))
def test_a_damaged_certificate_is_one_line(issuer: Issuer, key: ec.EllipticCurvePrivateKey, damage: int):
    der = bytearray(issuer.issue(key.public_key(), "hq-01").public_bytes(Encoding.DER))
    der[damage % len(der)] ^= 0xFF
    sent = ssl.DER_cert_to_PEM_cert(bytes(der)).encode() + pem(issuer.intermediate)
    with pytest.raises(IdentityError, match="the cloud sent a certificate"):
        checked(issuer, key, sent, issuer.now.timestamp())


@pytest.mark.parametrize(
    "sent", [b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"]
)
def test_what_is_no_certificate_is_one_line(issuer: Issuer, key: ec.EllipticCurvePrivateKey, sent: bytes):
    with pytest.raises(IdentityError, match="the cloud sent a certificate"):
        checked(issuer, key, sent + key_pem(key)[:0])
