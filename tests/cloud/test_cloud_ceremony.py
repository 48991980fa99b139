"""Ceremonies held twice at once, with the wrong passphrase, cut off; and trust that ends when it should."""

import fcntl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from cloud.brokers import crl as broker_crl
from cloud.ca import certificates, crl
from cloud.ca.folder import Folder
from cloud.errors import CloudError, SetupError, SignerError
from cloud.home import Home
from cloud.project.setup import start
from cloud.registry import services
from cloud.registry.models import AuditEntry
from cloud.registry.parts import parts
from tests.cloud.conftest import ROOT_PASSPHRASE, SERVICES, Clock
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import enrolled
from tests.fakes.handshake import handshake

OPERATOR = "cli:operator"
WRONG = "wrong-wrong-wrong-wrong"


def rotate() -> x509.Certificate:
    made = services.create_intermediate(ROOT_PASSPHRASE, actor=OPERATOR)
    services.ensure_services(SERVICES, actor="cloud")
    services.publish_crl()
    return made.certificate


def listed_authorities(home: Home) -> set[str]:
    return {
        each.subject.rfc4514_string()
        for each in x509.load_pem_x509_certificates(home.chain_file.read_bytes())
    }


# --- two terminals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hold",
    [
        lambda _: services.create_root(ROOT_PASSPHRASE, actor=OPERATOR),
        lambda _: services.create_intermediate(ROOT_PASSPHRASE, actor=OPERATOR),
        lambda home: services.give_up_intermediate(ROOT_PASSPHRASE, serial(home), actor=OPERATOR),
        lambda _: services.drop_root(certificates.key_id(parts().issuer.roots()[0]), actor=OPERATOR),
    ],
)
def test_two_ceremonies_are_not_held_at_once(home: Home, hold: Callable[[Home], object]):
    with (home.ca / "ceremony.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SetupError, match="somebody else holds a ceremony"):
            hold(home)


def serial(home: Home) -> int:
    return Folder(home).current().certificate.serial_number


# --- what fails is told -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hold", "action"),
    [
        (lambda _: services.create_root("short", actor=OPERATOR), "root-created"),
        (lambda _: services.create_intermediate(WRONG, actor=OPERATOR), "intermediate-created"),
        (
            lambda home: services.give_up_intermediate(WRONG, serial(home), actor=OPERATOR),
            "intermediate-given-up",
        ),
        (lambda _: services.drop_root("ffff", actor=OPERATOR), "root-dropped"),
    ],
)
def test_a_ceremony_that_fails_is_told_in_the_audit_trail(
    home: Home, hold: Callable[[Home], object], action: str
):
    with pytest.raises(CloudError):
        hold(home)
    entry = AuditEntry.objects.latest("seq")
    assert (entry.action, entry.actor, entry.outcome) == (action, OPERATOR, "failed")
    assert WRONG not in str(AuditEntry.objects.values_list())


@pytest.mark.usefixtures("home")
def test_setting_up_a_cloud_tells_of_no_failure():
    assert not AuditEntry.objects.exclude(outcome="done").exists()


def test_a_full_disk_in_a_ceremony_is_one_line(home: Home, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = Folder(home).current_name()
    monkeypatch.setattr("cloud.ca.files.os.fsync", full)
    with pytest.raises(SetupError, match="No space left on device"):
        services.create_intermediate(ROOT_PASSPHRASE, actor=OPERATOR)
    assert Folder(home).current_name() == before


# --- trust ends with the lists ----------------------------------------------------------------------


def test_when_an_old_intermediate_has_ended_brokers_still_take_the_lists(home: Home, clock: Clock):
    """A broker refuses CRLs that leave out an authority of chain.pem: the old one has to leave both."""
    old = Folder(home).current().certificate.subject.rfc4514_string()
    rotate()
    assert old in listed_authorities(home)
    clock.advance(days=91)
    services.publish_crl()
    assert old not in listed_authorities(home)
    lists = broker_crl.parse(home.crl_file.read_bytes())
    broker_crl.check(lists, home.chain_file.read_bytes(), clock.now() + timedelta(seconds=1))


def test_an_intermediate_is_trusted_as_long_as_its_longest_certificate(home: Home, clock: Clock):
    (home.settings_file).write_text(home.settings_file.read_text() + "\n[policy]\ngateway_days = 300\n")
    reborn(home, clock)
    device = enrolled("gw-1")
    home.settings_file.write_text(home.settings_file.read_text().replace("300", "30"))
    reborn(home, clock)
    old = Folder(home).current().certificate.subject.rfc4514_string()
    rotate()
    clock.advance(days=299)
    services.publish_crl()
    assert old in listed_authorities(home)
    assert certificates.issuer_id(device.certificate) in {
        crl.signer_id(each) for each in crl.read(home.crl_file.read_bytes())
    }


def reborn(home: Home, clock: Clock) -> None:
    broker = parts()._broker
    start(home)
    parts()._broker, parts().now = broker, clock.now


def test_trust_that_a_dying_ceremony_left_behind_is_put_right(home: Home, monkeypatch: pytest.MonkeyPatch):
    services.create_root(ROOT_PASSPHRASE, actor=OPERATOR)
    newer = parts().issuer.roots()[-1]
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "write_trust", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            services.drop_root(certificates.key_id(newer), actor=OPERATOR)
    assert len(x509.load_pem_x509_certificates(home.roots_file.read_bytes())) == 2
    services.publish_crl()
    assert len(x509.load_pem_x509_certificates(home.roots_file.read_bytes())) == 1


def test_publishing_does_not_touch_what_brokers_would_have_to_read_again(home: Home):
    before = [path.stat().st_mtime_ns for path in (home.roots_file, home.chain_file)]
    services.publish_crl()
    assert [path.stat().st_mtime_ns for path in (home.roots_file, home.chain_file)] == before


@pytest.mark.parametrize("step", range(4))
def test_giving_up_can_be_repeated_after_dying_at_any_step(
    home: Home, broker: ModelBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
):
    device, lost = enrolled("gw-1"), serial(home)
    rotate()
    with monkeypatch.context() as patch:
        written, replace = iter(range(100)), Path.replace

        def crash(path: Path, target: Path) -> Path:
            if next(written) == step:
                raise KeyboardInterrupt
            return replace(path, target)

        patch.setattr(Path, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            services.give_up_intermediate(ROOT_PASSPHRASE, lost, actor=OPERATOR)
    start(home)
    parts()._broker = broker
    services.give_up_intermediate(ROOT_PASSPHRASE, lost, actor=OPERATOR)
    roots_list = crl.read(home.crl_file.read_bytes())[-1]
    assert [each.serial_number for each in roots_list] == [lost]
    assert handshake(home, device, tmp_path) != ""
    device.recover()
    assert handshake(home, device, tmp_path) == ""


# --- ends -------------------------------------------------------------------------------------------


def test_an_intermediate_that_ended_a_moment_ago_issues_nothing(home: Home, clock: Clock):
    end = Folder(home).current().certificate.not_valid_after_utc
    clock.offset = end - datetime.now(UTC) + timedelta(minutes=5)
    with pytest.raises(SignerError, match="the intermediate has expired"):
        enrolled("gw-1")


@pytest.mark.usefixtures("home")
def test_the_end_of_an_intermediate_is_said_months_before(clock: Clock):
    assert services.warnings() == ()
    clock.advance(days=4.6 * 365)
    [line] = services.warnings()
    assert "the intermediate ends on" in line
    assert "reed-cloud ca intermediate" in line


# --- the pin ----------------------------------------------------------------------------------------


def test_while_a_root_changes_tokens_pin_the_one_that_our_servers_are_under(home: Home, clock: Clock):
    """Who enrols trusts the pinned root only, and speaks to our web server."""
    services.expect("gw-1", site="Tower", actor=OPERATOR)
    first = pin()
    services.create_root(ROOT_PASSPHRASE, actor=OPERATOR)
    assert pin() == first
    clock.advance(days=31)
    rotate()
    assert pin() != first


def pin() -> str:
    return services.new_token("gw-1", actor=OPERATOR).split(".")[2]


# --- passphrases ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "words"), [(b"", "is empty"), (b"\xff\xfe", "cannot be read")])
def test_a_credential_that_is_no_good_is_not_replaced_by_a_file(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, words: str
):
    home.passphrase_file.unlink()
    (tmp_path / "reed-ca-passphrase").write_bytes(content)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(SignerError, match=words):
        services.create_intermediate(ROOT_PASSPHRASE, actor=OPERATOR)
    assert not home.passphrase_file.exists()


def test_a_passphrase_file_that_is_no_text_is_one_line(home: Home):
    home.passphrase_file.write_bytes(b"\xff\xfe")
    with pytest.raises(SignerError, match="is no text"):
        enrolled("gw-1")


@pytest.mark.usefixtures("home")
def test_a_short_passphrase_of_ones_own_protects_no_intermediate(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("REED_CA_PASSPHRASE", "secret")
    with pytest.raises(SetupError, match="take at least 20"):
        services.create_intermediate(ROOT_PASSPHRASE, actor=OPERATOR)
