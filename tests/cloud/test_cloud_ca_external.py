"""Another authority in the place of ours: EST (RFC 7030) towards it, its own CRL."""

import base64
import dataclasses
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from cloud.ca.certificates import root
from cloud.errors import BrokerError, CloudError, RefusedError, SetupError, SignerError
from cloud.home import Home
from cloud.project.setup import start
from cloud.registry import services
from cloud.registry.models import Token
from cloud.registry.parts import parts
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import Device, enrolled, new_key
from tests.fakes.est_authority import Answer, EstAuthority

SETTINGS = """
[ca]
issuer = "est"
est_url = "{url}"
est_ca_file = "{ca_file}"
est_user = "reed"
est_password_file = "{password_file}"
est_crl_url = "{crl_url}"
est_timeout_s = 5
"""


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EstAuthority]:
    with EstAuthority(tmp_path) as running:
        monkeypatch.setenv("SSL_CERT_FILE", str(running.ca_file))  # urllib fetches the CRL
        yield running


@pytest.fixture
def theirs(home: Home, broker: ModelBroker, authority: EstAuthority) -> EstAuthority:
    """The home's certificates come from the other authority from now on."""
    text = SETTINGS.format(
        url=authority.url,
        ca_file=authority.ca_file,
        password_file=authority.password_file,
        crl_url=authority.crl_url,
    )
    home.settings_file.write_text(home.settings_file.read_text() + text)
    start(home)
    parts()._broker = broker
    broker.crls = []
    return authority


def test_a_gateway_is_certified_by_the_other_authority(theirs: EstAuthority, broker: ModelBroker, home: Home):
    device = enrolled("gw-1")
    assert device.chain[1:] == [theirs.intermediate]
    services.publish_crl()
    broker.connect(device.certificate)
    device.renew()
    broker.connect(device.certificate)
    trusted = x509.load_pem_x509_certificates(home.chain_file.read_bytes())
    assert trusted == [theirs.intermediate, theirs.root]


def test_its_crl_is_taken_over_and_a_denial_holds_without_it(theirs: EstAuthority, broker: ModelBroker):
    denied, revoked = enrolled("gw-1"), enrolled("gw-2")
    theirs.revoked = [revoked.certificate.serial_number]
    services.deny("gw-1", actor="cli:test", reason="test")
    with pytest.raises(ConnectionRefusedError, match="not authorised"):
        broker.connect(denied.certificate)
    with pytest.raises(ConnectionRefusedError, match="certificate revoked"):
        broker.connect(revoked.certificate)
    with pytest.raises(RefusedError, match="gateway-denied"):
        denied.renew()
    assert services.refresh_crl() is None, "young enough"


def test_our_services_are_certified_by_it_too(theirs: EstAuthority):
    made = services.ensure_services({"broker": ("localhost",), "ingest": ()}, actor="cloud")
    assert made == ["broker", "ingest"]
    leaf = x509.load_pem_x509_certificates(parts().home.cert_file("ingest").read_bytes())[0]
    leaf.verify_directly_issued_by(theirs.intermediate)


def other_key(theirs: EstAuthority, csr: x509.CertificateSigningRequest) -> Answer:
    assert csr.is_signature_valid
    return 200, theirs.packed(theirs.issue(new_key().public_key(), "gw-1"))


def other_name(theirs: EstAuthority, csr: x509.CertificateSigningRequest) -> Answer:
    return 200, theirs.packed(theirs.issue(csr.public_key(), "gw-2"))  # type: ignore[arg-type]


def other_usage(theirs: EstAuthority, csr: x509.CertificateSigningRequest) -> Answer:
    return 200, theirs.packed(theirs.issue(csr.public_key(), "gw-1", server=True))  # type: ignore[arg-type]


def other_root(theirs: EstAuthority, csr: x509.CertificateSigningRequest) -> Answer:
    assert csr.is_signature_valid
    key = new_key()
    return 200, theirs.packed(root(key, "nobody", theirs.now, 30))


def refusal(theirs: EstAuthority, csr: x509.CertificateSigningRequest) -> Answer:
    del theirs, csr
    return 403, b"not in our directory\n"


def busy(theirs: EstAuthority, csr: x509.CertificateSigningRequest) -> Answer:
    del theirs, csr
    return 503, b"later"


def pending(theirs: EstAuthority, csr: x509.CertificateSigningRequest) -> Answer:
    del theirs, csr
    return 202, b"a person decides"


def nonsense(theirs: EstAuthority, csr: x509.CertificateSigningRequest) -> Answer:
    del theirs, csr
    return 200, b"<html>"


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        (other_key, SignerError, "another key"),
        (other_name, SignerError, "not for gw-1"),
        (other_usage, SignerError, "not for gw-1"),
        (other_root, SignerError, "another key"),
        (refusal, RefusedError, "refuses: 403 not in our directory"),
        (busy, SignerError, "not now: 503 later"),
        (pending, SignerError, "not now: 202 a person decides"),
        (nonsense, SignerError, "no PKCS #7"),
    ],
)
def test_what_it_answers_wrongly_is_said_and_uses_no_token_up(
    theirs: EstAuthority, fault: object, error: type[CloudError], words: str
):
    device = Device("gw-1").expected()
    assert callable(fault)
    theirs.fault = lambda csr: fault(theirs, csr)
    with pytest.raises(error, match=words) as refused:
        device.enrol()
    assert "\n" not in str(refused.value)
    assert not Token.objects.filter(used_at__isnull=False).exists()
    theirs.fault = None
    device.enrol()


def test_an_answer_in_ber_is_taken_without_a_word(theirs: EstAuthority):
    """Careless, not wrong: a length that is left open (X.690, 8.1.3.6)."""

    def in_ber(csr: x509.CertificateSigningRequest) -> Answer:
        der = base64.b64decode(theirs.packed(theirs.issue(csr.public_key(), "gw-1")))  # type: ignore[arg-type]
        assert der[:2] == b"\x30\x82"
        return 200, base64.b64encode(b"\x30\x80" + der[4:] + b"\0\0")

    theirs.fault = in_ber
    device = Device("gw-1").expected()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        device.enrol()
    device.certificate.verify_directly_issued_by(theirs.intermediate)


def test_wrong_credentials_are_said(theirs: EstAuthority):
    theirs.password_file.write_text("wrong")
    with pytest.raises(RefusedError, match="refuses: 401 who are you"):
        Device("gw-1").expected().enrol()


def test_an_authority_that_is_away_is_said(theirs: EstAuthority):
    device = Device("gw-1").expected()
    theirs.stop()
    with pytest.raises(SignerError, match="does not answer"):
        device.enrol()
    with pytest.raises(BrokerError, match="the CRL did not follow"):
        services.deny("gw-1", actor="cli:test", reason="test")
    assert services.find("gw-1").state == "denied"


def test_a_list_that_it_has_not_signed_is_refused(theirs: EstAuthority, tmp_path: Path):
    (tmp_path / "foreign").mkdir()
    foreign = EstAuthority(tmp_path / "foreign")
    foreign._server.server_close()
    theirs.lists = foreign.lists  # type: ignore[method-assign]
    with pytest.raises(SignerError, match="not signed by that authority"):
        services.publish_crl()


def test_without_an_address_for_its_crl_nothing_is_published(theirs: EstAuthority):
    assert theirs
    issuer = parts().issuer
    issuer._config = dataclasses.replace(issuer._config, est_crl_url="")  # type: ignore[attr-defined]
    with pytest.raises(SetupError, match="est_crl_url is missing"):
        services.publish_crl()
