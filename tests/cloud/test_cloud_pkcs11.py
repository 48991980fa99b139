"""The authority's key in a security module: SoftHSM 2 through PKCS #11."""

import threading

import pkcs11
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from cloud.ca.config import Config
from cloud.ca.pkcs11 import make_pkcs11_key, open_pkcs11_key
from cloud.errors import SignerError
from cloud.home import Home
from cloud.project.setup import start
from cloud.registry import services
from cloud.registry.parts import parts
from tests.cloud.conftest import ROOT_PASSPHRASE
from tests.fakes import softhsm
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import enrolled

PIN = "a-pin-of-the-token"


@pytest.fixture(scope="module", autouse=True)
def module(tmp_path_factory: pytest.TempPathFactory, template: Home) -> None:
    """Make the tokens before the library is loaded: SoftHSM looks for them only then."""
    softhsm.configure(tmp_path_factory.mktemp("softhsm"))
    softhsm.make_token("reed", PIN)
    softhsm.make_token("moved", template.passphrase_file.read_text().strip())


@pytest.fixture
def config() -> Config:
    return Config(key="pkcs11", pkcs11_module=softhsm.library())


def test_a_key_in_the_module_signs_what_its_public_half_verifies(config: Config):
    key = make_pkcs11_key(config, "signs", PIN)
    signature = key.sign(b"data", ec.ECDSA(hashes.SHA256()))
    key.public_key().verify(signature, b"data", ec.ECDSA(hashes.SHA256()))
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"data")
    prehashed = key.sign(digest.finalize(), ec.ECDSA(Prehashed(hashes.SHA256())))
    key.public_key().verify(prehashed, b"data", ec.ECDSA(hashes.SHA256()))
    assert (key.curve.name, key.key_size) == ("secp256r1", 256)


def test_the_builders_of_cryptography_accept_the_key(config: Config):
    key = make_pkcs11_key(config, "builds", PIN)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "reed")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    assert request.is_signature_valid
    assert request.public_key() == key.public_key()


def test_the_key_cannot_be_had(config: Config):
    key = make_pkcs11_key(config, "stays", PIN)
    with pytest.raises(NotImplementedError, match="cannot be exported"):
        key.private_numbers()
    pkcs8 = serialization.PrivateFormat.PKCS8
    with pytest.raises(NotImplementedError, match="cannot be exported"):
        key.private_bytes(serialization.Encoding.DER, pkcs8, serialization.NoEncryption())
    handle = key._module.use(lambda s: s.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label="stays"))
    assert handle[pkcs11.Attribute.EXTRACTABLE] is False
    with pytest.raises(pkcs11.AttributeSensitive):
        _ = handle[pkcs11.Attribute.VALUE]


def test_the_key_is_found_again_by_its_label(config: Config):
    made = make_pkcs11_key(config, "again", PIN)
    assert open_pkcs11_key(config, "again", PIN).public_key() == made.public_key()


def test_trouble_with_the_module_is_one_clear_line(config: Config):
    with pytest.raises(SignerError, match='has no key "nobody"'):
        open_pkcs11_key(config, "nobody", PIN)
    with pytest.raises(SignerError, match="the passphrase is not its PIN"):
        open_pkcs11_key(config, "again", "wrong-wrong-wrong")
    other = Config(key="pkcs11", pkcs11_module=softhsm.library(), pkcs11_token="nowhere")  # noqa: S106
    with pytest.raises(SignerError, match='has no token "nowhere"'):
        open_pkcs11_key(other, "again", PIN)
    missing = Config(key="pkcs11", pkcs11_module="/nonexistent.so")
    with pytest.raises(SignerError, match=r"/nonexistent\.so: cannot be loaded"):
        open_pkcs11_key(missing, "again", PIN)


# python-pkcs11 0.10 complains when it tidies up a search of the session that is gone
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_session_that_the_module_has_lost_is_opened_anew(config: Config):
    key = make_pkcs11_key(config, "reopened", PIN)
    key._module._session.close()
    signature = key.sign(b"data", ec.ECDSA(hashes.SHA256()))
    key.public_key().verify(signature, b"data", ec.ECDSA(hashes.SHA256()))


def test_threads_may_sign_at_the_same_time(config: Config):
    key = make_pkcs11_key(config, "threads", PIN)
    sound: list[int] = []

    def sign(number: int) -> None:
        for _ in range(20):
            data = b"data %d" % number
            key.public_key().verify(
                key.sign(data, ec.ECDSA(hashes.SHA256())), data, ec.ECDSA(hashes.SHA256())
            )
        sound.append(number)

    threads = [threading.Thread(target=sign, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sound) == [0, 1, 2, 3]


def test_an_authority_moves_into_the_module_and_goes_on(
    home: Home, broker: ModelBroker, monkeypatch: pytest.MonkeyPatch
):
    """The old intermediate's key stays in its file, and signs its list until its certificates have ended."""
    old = enrolled("gw-1")
    home.settings_file.write_text(
        home.settings_file.read_text()
        + f'[ca]\nkey = "pkcs11"\npkcs11_module = "{softhsm.library()}"\npkcs11_token = "moved"\n'
    )
    start(home)
    parts()._broker = broker
    services.create_intermediate(ROOT_PASSPHRASE, actor="cli:test")
    new = enrolled("gw-2")
    assert not (home.ca / "intermediates" / (home.ca / "current").read_text().strip() / "key.pem").exists()
    broker.connect(new.certificate)
    broker.connect(old.certificate)
    services.deny("gw-1", actor="cli:test", reason="test")
    services.deny("gw-2", actor="cli:test", reason="test")
    for device in (old, new):
        with pytest.raises(ConnectionRefusedError, match="revoked"):
            broker.connect(device.certificate)
    start(home)  # a new process opens the key by its label
    parts()._broker = broker
    new.chain[0].verify_directly_issued_by(parts().issuer.intermediates()[0])
    services.publish_crl()
