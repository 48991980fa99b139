"""CRLs on mosquitto: it fails open, so what is installed must be seen to work, or be taken back."""

import dataclasses
import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from cloud.brokers import open_broker, revocation
from cloud.brokers.files import replace
from cloud.brokers.mosquitto import process
from cloud.brokers.probe import Verdict, judge
from cloud.brokers.revocation import Revocation, installed_file
from cloud.brokers.settings import Settings
from cloud.errors import BrokerError
from cloud.home import Home
from tests.fakes.mosquitto import Mosquitto
from tests.fakes.mqtt_peer import until

pytestmark = pytest.mark.broker


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as running:
        yield running


def verdict(broker: Mosquitto, name: str, port: int | None = None) -> Verdict:
    return judge(("127.0.0.1", port or broker.port), *broker.authority.files(name), 3.0)


def test_mosquitto_by_itself_lets_revoked_certificates_in_after_a_bad_crl(broker: Mosquitto) -> None:
    """Why all of this is needed; and a good CRL mends it."""
    assert verdict(broker, "revoked-probe") is Verdict.REVOKED
    installed_file(broker.home).write_bytes(b"garbage")
    os.kill(broker.pid, signal.SIGHUP)
    assert until(lambda: verdict(broker, "revoked-probe") is Verdict.ACCEPTED)
    broker.admin.install_crl(broker.authority.crl())
    assert verdict(broker, "revoked-probe") is Verdict.REVOKED
    assert verdict(broker, "ingest", broker.ingest_port) is Verdict.ACCEPTED


def test_a_crl_that_mosquitto_cannot_read_is_noticed_and_the_former_one_put_back(broker: Mosquitto) -> None:
    broker.admin.install_crl(broker.authority.hold("gw-held"))
    former = installed_file(broker.home).read_bytes()
    placed: list[bytes] = []

    def place_torn(pem: bytes) -> None:
        placed.append(pem)
        replace(installed_file(broker.home), pem if len(placed) > 1 else pem[:100])

    addresses = [("127.0.0.1", broker.port), ("127.0.0.1", broker.ingest_port)]
    torn = Revocation(
        broker.home,
        place=place_torn,
        reload=lambda: process.reload(broker.home),
        addresses=addresses,
        timeout_s=3.0,
    )
    with pytest.raises(BrokerError, match="lets a revoked certificate in; the former CRL holds again"):
        torn.install(broker.authority.crl())
    assert placed[1:] == [former]
    assert verdict(broker, "gw-held") is Verdict.REVOKED


def for_authorities_only(broker: Mosquitto) -> bytes:
    """A CRL that holds for no certificate of a client: mosquitto refuses everybody with it."""
    scope = x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=False,
        only_contains_ca_certs=True,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    return broker.authority.crl(scope=scope)


def test_a_crl_that_would_shut_everybody_out_is_taken_back(broker: Mosquitto) -> None:
    with pytest.raises(BrokerError, match="the former CRL holds again"):
        broker.admin.install_crl(for_authorities_only(broker))
    assert verdict(broker, "ingest") is Verdict.ACCEPTED
    assert verdict(broker, "revoked-probe") is Verdict.REVOKED


def test_a_handshake_that_still_meets_the_bad_crl_does_not_count(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker sees the signal between two rounds of its loop; here that moment is a handshake long."""
    reloads: list[bool] = []
    met: list[Exception] = []

    def reload() -> bool:
        reloads.append(process.reload(broker.home) if not reloads else True)
        return reloads[-1]

    def late(address: tuple[str, int], cert_file: Path, key_file: Path, timeout_s: float) -> Verdict:
        if len(reloads) < 2 or met:  # the second takes the bad one back
            return judge(address, cert_file, key_file, timeout_s)
        try:
            return judge(address, cert_file, key_file, timeout_s)
        except BrokerError as error:
            met.append(error)
            raise
        finally:
            assert process.reload(broker.home)
            assert until(lambda: _accepts(broker))

    monkeypatch.setattr(revocation, "judge", late)
    late_one = Revocation(
        broker.home,
        place=lambda pem: replace(installed_file(broker.home), pem),
        reload=reload,
        addresses=[("127.0.0.1", broker.port), ("127.0.0.1", broker.ingest_port)],
        timeout_s=3.0,
    )
    broker.admin.install_crl(broker.authority.crl())
    with pytest.raises(BrokerError, match="the former CRL holds again"):
        late_one.install(for_authorities_only(broker))
    assert len(met) == 1


def _accepts(broker: Mosquitto) -> bool:
    try:
        return verdict(broker, "ingest") is Verdict.ACCEPTED
    except BrokerError:
        return False


def test_a_crl_that_names_our_own_administration_is_taken_back(broker: Mosquitto) -> None:
    with pytest.raises(
        BrokerError, match=r"names the certificate of broker-admin.*the former CRL holds again"
    ):
        broker.admin.install_crl(broker.authority.hold("broker-admin"))
    broker.admin.grant("gw-1")


def test_an_older_crl_does_not_replace_a_newer_one(broker: Mosquitto) -> None:
    older = broker.authority.crl(made_at=datetime.now(UTC) - timedelta(minutes=1))
    broker.admin.install_crl(broker.authority.hold("gw-held"))
    with pytest.raises(BrokerError, match="newer CRL"):
        broker.admin.install_crl(older)
    assert verdict(broker, "gw-held") is Verdict.REVOKED


def test_a_crl_installed_by_a_wrong_clock_does_not_block_the_next(broker: Mosquitto) -> None:
    future = broker.authority.crl(made_at=datetime.now(UTC) + timedelta(days=1))
    installed_file(broker.home).write_bytes(future)
    broker.admin.install_crl(broker.authority.crl())
    assert verdict(broker, "revoked-probe") is Verdict.REVOKED


def test_of_two_crls_of_the_same_second_the_latter_holds(broker: Mosquitto) -> None:
    made_at = datetime.now(UTC) - timedelta(seconds=1)
    broker.authority.hold("gw-1")
    broker.admin.install_crl(broker.authority.crl(made_at=made_at))
    broker.authority.hold("gw-2")
    broker.admin.install_crl(broker.authority.crl(made_at=made_at))
    assert verdict(broker, "gw-2") is Verdict.REVOKED
    broker.authority.release("gw-1")
    broker.admin.install_crl(broker.authority.crl(made_at=made_at))
    assert verdict(broker, "gw-1") is Verdict.ACCEPTED


def test_without_a_running_mosquitto_the_crl_waits_for_its_start(broker: Mosquitto) -> None:
    with broker.stopped():
        broker.admin.install_crl(broker.authority.hold("gw-held"))
    assert verdict(broker, "gw-held") is Verdict.REVOKED


@pytest.mark.parametrize(
    "content", [str(os.getpid()), "4194304", "", "no number"], ids=["ours", "nobody", "empty", "words"]
)
def test_a_stale_pid_file_leads_no_signal_astray(broker: Mosquitto, content: str) -> None:
    hits: list[int] = []
    former = signal.signal(signal.SIGHUP, lambda number, _frame: hits.append(number))
    broker.home.pid_file("mosquitto").write_text(content)
    why = "does not name (it|a process)"
    try:
        with pytest.raises(BrokerError, match=why):
            broker.admin.install_crl(broker.authority.crl())
        with broker.stopped():
            broker.home.pid_file("mosquitto").write_text(content)
            with nullcontext() if content.isdigit() else pytest.raises(BrokerError, match=why):
                broker.admin.install_crl(broker.authority.crl())
    finally:
        signal.signal(signal.SIGHUP, former)
    assert not hits


def test_a_mosquitto_is_known_however_its_home_was_spelt(
    broker: Mosquitto, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(broker.home.folder)
    for folder in (Path("home"), tmp_path / "link", Path("clients/../home")):
        assert process.reload(Home(folder))
    assert not process.reload(Home(tmp_path))


def test_who_installs_at_the_same_time_waits_but_not_for_ever(broker: Mosquitto) -> None:
    with installed_file(broker.home).with_suffix(".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        timer = threading.Timer(0.3, lambda: fcntl.flock(other, fcntl.LOCK_UN))
        timer.start()
        broker.admin.install_crl(broker.authority.crl())
        timer.join()
        fcntl.flock(other, fcntl.LOCK_EX)
        hasty = open_broker(_with_timeout(broker, 0.1), broker.home)
        with pytest.raises(BrokerError, match="too long"):
            hasty.install_crl(broker.authority.crl())


def test_a_folder_that_cannot_be_written_is_named(broker: Mosquitto) -> None:
    broker.stop()
    broker.home.broker.rename(broker.home.broker.with_name("gone"))
    with pytest.raises(BrokerError, match="cannot be written"):
        broker.admin.install_crl(broker.authority.crl())


def test_a_frozen_mosquitto_keeps_nobody_waiting(broker: Mosquitto) -> None:
    former = installed_file(broker.home).read_bytes()
    hasty = open_broker(_with_timeout(broker, 0.5), broker.home)
    with broker.frozen(), pytest.raises(BrokerError):
        hasty.install_crl(broker.authority.crl())
    assert installed_file(broker.home).read_bytes() == former


def _with_timeout(broker: Mosquitto, timeout_s: float) -> Settings:
    return dataclasses.replace(broker.settings, timeout_s=timeout_s)
