"""The authority's ceremonies, rehearsed: new roots and intermediates, and what is done when a key is lost."""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from cloud.ca import ceremony, certificates, crl, files, passphrase
from cloud.ca.folder import Folder
from cloud.errors import SetupError, SignerError
from cloud.home import Home
from cloud.project.setup import start
from cloud.registry import services
from cloud.registry.parts import parts
from tests.cloud.conftest import ROOT_PASSPHRASE, SERVICES, Clock
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import Device, enrolled
from tests.fakes.handshake import handshake

OPERATOR = "cli:operator"


def rotate(clock: Clock | None = None, **by: float) -> x509.Certificate:
    """Make another intermediate, and the services' certificates under it, as `reed-cloud run` does."""
    if clock is not None:
        clock.advance(**by)
    made = services.create_intermediate(ROOT_PASSPHRASE, actor=OPERATOR)
    services.ensure_services(SERVICES, actor="cloud")
    services.publish_crl()
    return made.certificate


# --- keys at rest -----------------------------------------------------------------------------------


def test_no_key_of_the_authority_lies_in_the_clear(home: Home):
    kept = [path for path in home.folder.rglob("*") if path.is_file() and path.parent != home.services]
    keys = [path for path in kept if b"PRIVATE KEY" in path.read_bytes()]
    assert {path.parent.parent for path in keys} == {home.folder, home.ca / "intermediates"}
    for path in keys:
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert path.stat().st_mode & 0o077 == 0
    assert home.passphrase_file.stat().st_mode & 0o077 == 0
    assert home.ca.stat().st_mode & 0o077 == 0


def test_the_home_works_without_the_roots_key(home: Home, broker: ModelBroker):
    shutil.rmtree(home.offline)
    start(home)
    parts()._broker = broker
    broker.connect(enrolled("gw-1").certificate)
    services.deny("gw-1", actor=OPERATOR, reason="test")
    with pytest.raises(SetupError, match="bring the folder with the root's key"):
        services.create_intermediate(ROOT_PASSPHRASE, actor=OPERATOR)


def test_the_roots_key_may_be_brought_back_in_another_folder(home: Home, tmp_path: Path):
    stick = tmp_path / "stick"
    home.offline.rename(stick)
    services.create_intermediate(ROOT_PASSPHRASE, actor=OPERATOR, offline=stick)
    assert not home.offline.exists()


def test_a_wrong_passphrase_opens_no_root(home: Home):
    before = Folder(home).current_name()
    with pytest.raises(SignerError, match="the passphrase does not open it"):
        services.create_intermediate("wrong-wrong-wrong-wrong", actor=OPERATOR)
    assert Folder(home).current_name() == before


@pytest.mark.usefixtures("home")
def test_a_short_passphrase_protects_no_root():
    with pytest.raises(SetupError, match="take at least 20"):
        services.create_root("secret", actor=OPERATOR)
    assert len(parts().issuer.roots()) == 1


@pytest.mark.parametrize("place", ["credential", "environment", "file", "nowhere"])
def test_the_passphrase_comes_from_the_best_place_that_has_it(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
):
    right = home.passphrase_file.read_text().strip()
    if place != "file":
        home.passphrase_file.unlink()
    if place == "credential":
        (tmp_path / "reed-ca-passphrase").write_text(right + "\n")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        monkeypatch.setenv("REED_CA_PASSPHRASE", "wrong")
    if place == "environment":
        monkeypatch.setenv("REED_CA_PASSPHRASE", right)
    if place == "nowhere":
        with pytest.raises(SignerError, match="no passphrase for the authority"):
            enrolled("gw-1")
    else:
        enrolled("gw-1")


def test_a_made_passphrase_has_130_bits_and_no_letter_that_looks_like_another():
    made = {passphrase.new_passphrase() for _ in range(100)}
    assert len(made) == 100
    for each in made:
        assert len(each.replace("-", "")) == 26
        assert not set(each) & set("l1o0")


@pytest.mark.parametrize("damage", [b"", b"hello", None])
def test_a_damaged_key_is_said_in_one_line(home: Home, damage: bytes | None):
    path = Folder(home).current().key.file
    path.unlink()
    if damage is not None:
        path.write_bytes(damage)
    with pytest.raises(SignerError) as refused:
        enrolled("gw-1")
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_key_that_does_not_belong_to_the_certificate_signs_nothing(home: Home):
    own = Folder(home).current()
    rotate()
    other = Folder(home).current()
    shutil.copy(own.key.file, other.key.file)
    start(home)
    with pytest.raises(SignerError, match="do not belong together"):
        enrolled("gw-1")


# --- another intermediate ---------------------------------------------------------------------------


def test_after_a_rotation_old_certificates_go_on_and_new_ones_come_from_the_new_intermediate(
    home: Home, tmp_path: Path
):
    old = enrolled("gw-1")
    rotate()
    new = enrolled("gw-2")
    assert certificates.issuer_id(old.certificate) != certificates.issuer_id(new.certificate)
    assert handshake(home, old, tmp_path) == ""
    assert handshake(home, new, tmp_path) == ""


def test_the_old_intermediates_list_goes_on_until_its_last_certificate_has_ended(home: Home, clock: Clock):
    old = enrolled("gw-1")
    rotate()
    services.deny("gw-1", actor=OPERATOR, reason="test")
    assert signers(home) == {issuer(old), current(home)} | roots()
    clock.advance(days=89)
    services.publish_crl()
    assert signers(home) == {issuer(old), current(home)} | roots()
    clock.advance(days=2)
    services.publish_crl()
    assert signers(home) == {current(home)} | roots()


def signers(home: Home) -> set[str]:
    return {crl.signer_id(each) for each in crl.read(home.crl_file.read_bytes())}


def issuer(device: Device) -> str:
    return certificates.issuer_id(device.certificate)


def current(home: Home) -> str:
    return certificates.key_id(Folder(home).current().certificate)


def roots() -> set[str]:
    return {certificates.key_id(each) for each in parts().issuer.roots()}


def test_a_gateway_denied_before_the_rotation_stays_denied_after_it(home: Home, tmp_path: Path):
    device = enrolled("gw-1")
    services.deny("gw-1", actor=OPERATOR, reason="test")
    rotate()
    assert "certificate revoked" in handshake(home, device, tmp_path)


def test_a_running_process_notices_a_rotation_by_another_one(home: Home):
    running = parts().issuer
    assert issuer(enrolled("gw-1")) == certificates.key_id(running.intermediates()[0])
    own = parts()
    root = ceremony.root_key(home, home.offline, ROOT_PASSPHRASE)
    ceremony.create_intermediate(home, own.ca, own.policy, root, own.now())  # as another process would
    assert parts().issuer is running
    assert issuer(enrolled("gw-2")) == current(home)


def test_a_certificate_does_not_outlive_its_intermediate(home: Home, clock: Clock):
    end = Folder(home).current().certificate.not_valid_after_utc
    clock.offset = end - datetime.now(UTC) - timedelta(days=5)
    assert enrolled("gw-1").certificate.not_valid_after_utc == end
    clock.advance(days=6)
    with pytest.raises(SignerError, match="the intermediate has expired"):
        enrolled("gw-2")


def steps(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Die when the ceremony writes its file number `at`."""
    written = iter(range(100))
    replace = Path.replace

    def crash(path: Path, target: Path) -> Path:
        if next(written) == at:
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", crash)


@pytest.mark.parametrize("step", range(8))
def test_a_rotation_that_dies_at_any_step_leaves_a_working_authority(
    home: Home, broker: ModelBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
):
    old = enrolled("gw-1")
    with monkeypatch.context() as patch:
        steps(patch, step)
        with pytest.raises(KeyboardInterrupt):
            services.create_intermediate(ROOT_PASSPHRASE, actor=OPERATOR)
    start(home)
    parts()._broker = broker
    services.reconcile()
    assert handshake(home, old, tmp_path) == ""
    assert handshake(home, enrolled("gw-2"), tmp_path) == ""
    rotate()
    assert handshake(home, enrolled("gw-3"), tmp_path) == ""


# --- another root -----------------------------------------------------------------------------------


def test_a_root_changes_over_without_anybody_being_shut_out(home: Home, clock: Clock, tmp_path: Path):
    """Two roots are trusted; gateways learn the new one by EST when they renew; then it comes into use."""
    device = enrolled("gw-1")
    only_old = trusted = home.roots_file.read_bytes()
    old_root = parts().issuer.roots()[0]
    services.create_root(ROOT_PASSPHRASE, actor=OPERATOR)
    assert len(parts().issuer.roots()) == 2
    assert handshake(home, device, tmp_path, trusted) == "", "who knows the old root only is still served"
    with pytest.raises(SetupError, match="gateways learn a new root when they renew"):
        rotate()

    clock.advance(days=29)
    device.renew()
    trusted = home.roots_file.read_bytes()  # what it gets from cacerts on this occasion
    rotate(clock, days=2)
    new_intermediate = Folder(home).current().certificate
    new_intermediate.verify_directly_issued_by(parts().issuer.roots()[1])
    services.publish_crl()
    refused = handshake(home, device, tmp_path, trusted, check_time=False)
    assert refused == "", "its own certificate is from the old root still"
    ignorant = handshake(home, device, tmp_path, only_old, check_time=False)
    assert "certificate verify failed" in ignorant, "which is why one has to wait"
    with pytest.raises(SetupError, match="in use until"):
        services.drop_root(certificates.key_id(old_root), actor=OPERATOR)

    device.renew()
    clock.advance(days=91)
    services.drop_root(certificates.key_id(old_root), actor=OPERATOR)
    assert len(x509.load_pem_x509_certificates(home.roots_file.read_bytes())) == 1
    assert certificates.key_id(old_root) not in signers(home)


def test_the_token_pins_the_newest_root():
    root = parts().issuer.roots()[-1]
    services.expect("gw-1", site="Tower", actor=OPERATOR)
    assert len(services.new_token("gw-1", actor=OPERATOR).split(".")[2]) == 43
    assert root == parts().issuer.roots()[-1]


def test_nobody_drops_an_unknown_root_or_the_one_in_use(home: Home):
    with pytest.raises(SetupError, match="names 0 trusted roots"):
        services.drop_root("ffff", actor=OPERATOR)
    with pytest.raises(SetupError, match="and it issues"):
        services.drop_root(certificates.key_id(parts().issuer.roots()[0]), actor=OPERATOR)
    assert home.roots_file.read_bytes()


# --- loss of the authority's key --------------------------------------------------------------------


def test_after_the_loss_of_the_intermediates_key_every_gateway_comes_back_by_itself(
    home: Home, broker: ModelBroker, clock: Clock, tmp_path: Path
):
    """The rehearsal of docs/pki.md, "The authority's key is lost or stolen"."""
    devices = [enrolled(f"gw-{number}") for number in range(3)]
    services.deny("gw-2", actor=OPERATOR, reason="test")
    lost = Folder(home).current()
    lost.key.file.unlink()
    start(home)
    parts()._broker, parts().now = broker, clock.now
    with pytest.raises(SignerError):
        services.publish_crl()

    # 1. another intermediate (the former's list cannot be signed any more), 2. the former is given up
    made = services.create_intermediate(ROOT_PASSPHRASE, actor=OPERATOR)
    assert "cannot be read" in made.problem
    given_up = services.give_up_intermediate(ROOT_PASSPHRASE, lost.certificate.serial_number, actor=OPERATOR)
    assert given_up.problem == ""
    services.ensure_services(SERVICES, actor="cloud")
    services.publish_crl()

    # 3. gateways are refused, and prove possession of their old keys
    assert handshake(home, devices[0], tmp_path) != ""
    for device in devices[:2]:
        device.recover()
        assert handshake(home, device, tmp_path) == ""
        broker.connect(device.certificate)
    with pytest.raises(Exception, match="gateway-denied"):
        devices[2].recover()
    clock.advance(days=6)
    assert services.refresh_crl() is not None
    told = [entry.action for entry in services.audit_entries(limit=20)]
    assert {"intermediate-created", "intermediate-given-up", "recovery"} <= set(told)


def test_a_thief_of_the_intermediates_key_gets_nothing_after_it_was_given_up(home: Home, tmp_path: Path):
    stolen = Folder(home).current()
    key = ceremony.keys.open_file(stolen.key.file, passphrase.read_passphrase(home).encode())
    rotate()
    services.give_up_intermediate(ROOT_PASSPHRASE, stolen.certificate.serial_number, actor=OPERATOR)
    forged = Device("gw-1")
    enrolled("gw-1")
    profile = parts()
    now = profile.now()
    leaf = certificates.leaf(
        forged.key.public_key(),
        certificates.Profile("gw-1", ("gw-1",), False, now, now + timedelta(days=30)),
        (stolen.certificate, key),
    )
    forged.chain = [leaf, stolen.certificate]
    assert "CRL" in handshake(home, forged, tmp_path), "no list speaks for that intermediate any more"
    for way in (forged.renew, forged.recover):
        with pytest.raises(Exception, match="certificate-unknown"):
            way()


def test_the_issuing_intermediate_is_not_given_up_before_there_is_another(home: Home):
    serial = Folder(home).current().certificate.serial_number
    with pytest.raises(SetupError, match="issues still"):
        services.give_up_intermediate(ROOT_PASSPHRASE, serial, actor=OPERATOR)
    with pytest.raises(SetupError, match="no intermediate has the serial number"):
        services.give_up_intermediate(ROOT_PASSPHRASE, 12345, actor=OPERATOR)


def test_a_stolen_root_is_left_with_everything_under_it(home: Home, tmp_path: Path):
    """Both roots' keys are at hand; whoever trusts the new one goes on, after recovery."""
    device = enrolled("gw-1")
    old_root, old = parts().issuer.roots()[0], Folder(home).current().certificate
    services.create_root(ROOT_PASSPHRASE, actor=OPERATOR)
    services.create_intermediate(ROOT_PASSPHRASE, actor=OPERATOR, at_once=True)
    services.ensure_services(SERVICES, actor="cloud")
    services.give_up_intermediate(ROOT_PASSPHRASE, old.serial_number, actor=OPERATOR)
    services.drop_root(certificates.key_id(old_root), actor=OPERATOR)
    assert handshake(home, device, tmp_path) != ""
    device.recover()
    assert handshake(home, device, tmp_path) == ""


# --- our own services -------------------------------------------------------------------------------


def test_servers_carry_their_names_and_addresses(home: Home):
    leaf = x509.load_pem_x509_certificates(home.cert_file("broker").read_bytes())[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert home.key_file("broker").stat().st_mode & 0o077 == 0


def test_services_certificates_are_renewed_in_time_and_only_then(home: Home, clock: Clock):
    assert services.ensure_services(SERVICES, actor="cloud") == []
    clock.advance(days=59)
    assert services.ensure_services(SERVICES, actor="cloud") == []
    clock.advance(days=2)
    assert services.ensure_services(SERVICES, actor="cloud") == list(SERVICES)
    more = {"broker": ("localhost", "mqtt.example.com")}
    assert services.ensure_services(more, actor="cloud") == ["broker"]


def damaged_certificate(home: Home) -> None:
    home.cert_file("ingest").write_text("hello")


def missing_key(home: Home) -> None:
    home.key_file("ingest").unlink()


def mixed_pair(home: Home) -> None:
    shutil.copy(home.key_file("web"), home.key_file("ingest"))


def database_from_a_backup(home: Home) -> None:
    from cloud.registry.models import Certificate  # noqa: PLC0415

    assert home
    Certificate.objects.filter(name="ingest").delete()


@pytest.mark.parametrize("damage", [damaged_certificate, missing_key, mixed_pair, database_from_a_backup])
def test_a_pair_that_is_no_good_is_made_anew(home: Home, damage: Callable[[Home], None]):
    damage(home)
    assert services.ensure_services(SERVICES, actor="cloud") == ["ingest"]
    leaf = x509.load_pem_x509_certificates(home.cert_file("ingest").read_bytes())[0]
    key = serialization.load_pem_private_key(home.key_file("ingest").read_bytes(), None)
    assert key.public_key() == leaf.public_key()


def test_a_file_is_the_old_or_the_new_one_and_no_scrap_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file"
    files.write(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
