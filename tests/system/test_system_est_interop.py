"""Enrolment with somebody else at the other side: libest's client and server; and with a real TPM."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.ca.config import Config
from cloud.ca.external import ExternalIssuer
from cloud.ca.policy import Policy
from cloud.ca.profile import gateway_profile
from cloud.errors import RefusedError
from cloud.home import Home
from gateway.errors import EnrolmentError
from gateway.identity import tls
from gateway.identity.est import EstClient
from gateway.identity.pair import Pair
from tests.cloud.enrolment_rig import Rig
from tests.system.harness.est_front import est_front
from tests.system.harness.est_server import PASSWORD, USER, EstServer
from tests.system.harness.machine import Machine


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "cloud")
    with made.front:
        yield made


# --- libest's client and our server -----------------------------------------------------------------


class Estclient:
    """libest's program in a machine."""

    def __init__(self, machine: Machine, rig: Rig) -> None:
        self._machine = machine
        machine.path("/tmp/roots.pem").write_bytes(rig.home.roots_file.read_bytes())

    def run(self, port: int, *words: str) -> str:
        """Return what it said; only that tells whether it worked."""
        where = ("-s", "localhost", "-p", str(port), "-o", "/tmp", "-v", "--pem-output")
        command = self._machine.command("estclient", *words, *where, EST_OPENSSL_CACERT="/tmp/roots.pem")
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
        return (done.stdout + done.stderr).decode(errors="replace")

    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self._machine.path("/tmp/cert-0-0.pem").read_bytes())


@pytest.fixture
def estclient(machine: Machine, rig: Rig) -> Estclient:
    for name in ("key", "next"):
        machine.run(
            "openssl",
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            f"/tmp/{name}.pem",
        )
    return Estclient(machine, rig)


def test_libests_client_reads_no_http_1_1_so_it_cannot_be_served_through_nginx(
    estclient: Estclient, rig: Rig
):
    """Once this fails, `est_front` can go."""
    said = estclient.run(rig.front.port, "-g")

    assert "HTTP/1.1 200 OK" in said
    assert "Unsupported HTTP response from EST server (-1)" in said


def test_libests_client_gets_our_authority_and_attributes(estclient: Estclient, rig: Rig, machine: Machine):
    with est_front(rig.home) as port:
        assert "Get CA Cert success" in estclient.run(port, "-g")
        assert "HTTP status 200" in estclient.run(port, "-a")

    pem = machine.path("/tmp/cacert-0-0.pem").read_bytes()
    trusted = x509.load_pem_x509_certificates(rig.home.chain_file.read_bytes())
    assert set(x509.load_pem_x509_certificates(pem)) == set(trusted)


def test_libests_client_enrols_and_renews_at_our_server(estclient: Estclient, rig: Rig):
    gateway = rig.expect("libest-1")
    request = ("-x", "/tmp/key.pem", "--common-name", "libest-1")
    with est_front(rig.home) as port:
        said = estclient.run(port, "-e", "-u", "libest-1", "-h", gateway.secret, *request)
        assert "enrollment rv = 0" in said, said[-2000:]
        first = estclient.certificate()
        Path(estclient._machine.path("/tmp/first.pem")).write_bytes(
            first.public_bytes(serialization.Encoding.PEM)
        )

        said = estclient.run(port, "-r", "-c", "/tmp/first.pem", "-k", "/tmp/key.pem", "-x", "/tmp/key.pem")

    assert "rv = 0" in said, said[-2000:]
    second = estclient.certificate()
    assert first.subject == second.subject
    assert first.serial_number != second.serial_number
    assert [row.serial for row in rig.services.certificates("libest-1")] != []


def test_libests_client_is_refused_with_a_wrong_token(estclient: Estclient, rig: Rig):
    rig.expect("libest-2")
    with est_front(rig.home) as port:
        said = estclient.run(
            port, "-e", "-u", "libest-2", "-h", "a" * 26, "-x", "/tmp/key.pem", "--common-name", "libest-2"
        )

    assert "EST_ERR_AUTH_FAIL" in said
    assert rig.refusals("libest-2") == ["token-wrong"]


# --- our clients and libest's server ----------------------------------------------------------------


@pytest.fixture
def other(machine: Machine) -> Iterator[EstServer]:
    with EstServer(machine) as running:
        yield running


def request(key: ec.EllipticCurvePrivateKey, name: str) -> x509.CertificateSigningRequest:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())


def der(csr: x509.CertificateSigningRequest) -> bytes:
    return csr.public_bytes(serialization.Encoding.DER)


def test_the_gateways_client_enrols_and_renews_at_libests_server(other: EstServer, tmp_path: Path):
    ca_file = other.file("root.pem")
    key, following = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    client = EstClient(other.url, tls.client_context(ca_file, None, tcti=""))
    (root,) = client.cacerts()
    assert root == x509.load_pem_x509_certificate(ca_file.read_bytes()).public_bytes(
        serialization.Encoding.DER
    )

    pem = client.enrol(der(request(key, "house-7")), USER, PASSWORD)
    pair = Pair("", tmp_path / "cert.pem", tmp_path / "key.pem")
    pair.cert_file.write_bytes(pem)
    pkcs8, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pair.key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, plain))
    renewing = EstClient(other.url, tls.client_context(ca_file, pair, tcti=""))
    renewed = x509.load_pem_x509_certificate(renewing.reenrol(der(request(following, "house-7"))))

    assert x509.load_pem_x509_certificate(pem).public_key() == key.public_key()
    assert renewed.public_key() == following.public_key()
    assert renewed.subject.rfc4514_string() == "CN=house-7"


def test_the_gateways_client_says_that_libests_server_refuses(other: EstServer):
    client = EstClient(other.url, tls.client_context(other.file("root.pem"), None, tcti=""))

    with pytest.raises(EnrolmentError) as caught:
        client.enrol(der(request(ec.generate_private_key(ec.SECP256R1()), "house-7")), USER, "wrong")
    assert "\n" not in str(caught.value)


def external(other: EstServer, folder: Path, password: str) -> ExternalIssuer:
    (folder / "password").write_text(f"{password}\n")
    config = Config(
        issuer="est",
        est_url=f"{other.url}/.well-known/est",
        est_ca_file=str(other.file("root.pem")),
        est_user=USER,
        est_password_file=str(folder / "password"),
    )
    return ExternalIssuer(config, Home(folder / "home"))


def test_the_cloud_has_its_certificates_issued_by_libests_server(other: EstServer, tmp_path: Path):
    issuer = external(other, tmp_path, PASSWORD)
    key = ec.generate_private_key(ec.SECP256R1())
    profile = gateway_profile("house-7", Policy(), datetime.now(UTC))

    (leaf,) = issuer.issue(request(key, "house-7"), profile)

    (root,) = issuer.roots()
    leaf.verify_directly_issued_by(root)
    assert leaf.public_key() == key.public_key()
    assert Home(tmp_path / "home").roots_file.read_bytes() == root.public_bytes(serialization.Encoding.PEM)


def test_the_cloud_is_refused_by_libests_server_with_a_wrong_password(other: EstServer, tmp_path: Path):
    issuer = external(other, tmp_path, "wrong")
    profile = gateway_profile("house-7", Policy(), datetime.now(UTC))

    with pytest.raises(RefusedError) as caught:
        issuer.issue(request(ec.generate_private_key(ec.SECP256R1()), "house-7"), profile)
    assert caught.value.reason == "other-authority"
