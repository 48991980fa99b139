import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.__main__ import main
from gateway.cli.checks import building, cloud, enrolled, host
from gateway.cli.checks.finding import Verdict
from gateway.cli.demo import devca
from gateway.config.model import Config
from gateway.config.read import read
from gateway.link.config import Config as LinkConfig
from tests.fakes.broker import Broker, needs_mosquitto
from tests.fakes.enrolment import Enrolment, Revocations, read_again
from tests.fakes.gateway import Served, served
from tests.fakes.house import CONFIG
from tests.fakes.view import example_view

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path / "control") as running:
        yield running


@pytest.fixture
def pair(tmp_path: Path) -> LinkConfig:
    """A certificate for 90 days from NOW that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hq-01")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=90))
        .sign(key, hashes.SHA256())
    )
    cert, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return LinkConfig(
        host="127.0.0.1", ca_file=cert, cert_file=cert, key_file=private, command_key_file=private
    )


@pytest.mark.parametrize(
    ("days", "verdict", "words"),
    [
        (10, Verdict.OK, "80 days left"),
        (75, Verdict.WARN, "15 days left"),
        (91, Verdict.FAIL, "expired on 2026-04-01"),
        (-1, Verdict.FAIL, "valid only from 2026-01-01"),
    ],
)
def test_a_certificate_is_judged_by_what_is_left_of_it(
    pair: LinkConfig, days: int, verdict: Verdict, words: str
):
    finding = cloud.certificates(pair, NOW + timedelta(days=days))[0]

    assert finding.verdict is verdict
    assert words in finding.text


def test_what_is_no_certificate_is_one_finding(pair: LinkConfig, tmp_path: Path):
    (tmp_path / "bad").write_text("no PEM")
    wrong = replace(pair, cert_file=tmp_path / "bad", ca_file=tmp_path / "absent")

    assert [finding.verdict for finding in cloud.certificates(wrong, NOW)] == [Verdict.FAIL, Verdict.WARN]


def test_a_broker_that_is_not_there_is_a_failure(pair: LinkConfig):
    with closing(socket.create_server(("127.0.0.1", 0))) as reserved:
        port = reserved.getsockname()[1]

    [finding] = cloud.broker(replace(pair, port=port))

    assert finding.verdict is Verdict.FAIL
    assert f"127.0.0.1:{port}: Connection refused" in finding.text


def test_a_port_that_speaks_no_tls_is_a_failure(pair: LinkConfig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cloud, "CONNECT_TIMEOUT_S", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        [finding] = cloud.broker(replace(pair, port=deaf.getsockname()[1]))

    assert finding.verdict is Verdict.FAIL


def test_the_sick_view_gives_one_line_for_each_worry():
    findings = building.inspect(example_view())

    failed = [(finding.check, finding.text) for finding in findings if finding.verdict is Verdict.FAIL]
    assert failed == [
        ("sensors", "cellar: missing, last seen 1 d 1 h ago"),
        ("alarm", "leak/zone/plant-room: pump is wet"),
        ("trouble", "sensor-missing/sensor/cellar: silent for 25 h"),
    ]
    assert all(finding.advice for finding in findings if finding.verdict is not Verdict.OK)


def test_a_healthy_view_gives_no_worry():
    view = example_view() | {"alarms": []}
    view["sensors"].pop("cellar")

    assert {finding.verdict for finding in building.inspect(view)} == {Verdict.OK}


def test_impaired_parts_are_found():
    view = example_view()
    view["clock"]["trusted"] = False
    view["link"] = {"state": "down", "since_s": 2000.0, "detail": "refused"}
    view["valves"]["main"]["state"] = "out_of_service"

    texts = [finding.text for finding in building.inspect(view) if finding.verdict is not Verdict.OK]

    assert "down for 33 min 20 s: refused" in texts
    assert "main: out of service" in texts
    assert any("not trusted" in text for text in texts)


def test_a_gateway_that_the_cloud_turns_away_is_a_failure_with_the_reason():
    view = example_view()
    view["link"] = {"state": "down", "since_s": 60.0, "detail": "x", "denied": "our certificate is revoked"}

    (finding,) = [finding for finding in building.inspect(view) if finding.check == "link"]

    assert finding.verdict is Verdict.FAIL
    assert finding.text == "denied by the cloud for 1 min: our certificate is revoked"


@pytest.fixture
def enrolled_config(tmp_path: Path) -> Config:
    file = tmp_path / "gateway.toml"
    file.write_text(f"{CONFIG}\n[link]\n")
    return read(file)


def test_a_gateway_that_is_not_enrolled_is_told_how(enrolled_config: Config):
    (finding,) = enrolled.inspect(enrolled_config, datetime.now(UTC))

    assert (finding.verdict, finding.check) == (Verdict.FAIL, "identity")
    assert "reed-gateway enrol" in finding.advice


@needs_mosquitto
@pytest.mark.broker
def test_an_enrolment_is_looked_at_as_the_gateway_uses_it(enrolled_config: Config, tmp_path: Path):
    ca = devca.ensure(tmp_path / "ca", "house-7")
    revocations = Revocations(ca, tmp_path / "crl.pem")
    enrolment = Enrolment(ca, enrolled_config.gateway.identity_dir)
    with Broker(ca, tmp_path / "broker", extra=revocations.line) as broker:
        pair = enrolment.enrol(broker.port)
        found = {finding.check: finding for finding in enrolled.inspect(enrolled_config, datetime.now(UTC))}
        assert (found["identity"].verdict, found["broker"].verdict) == (Verdict.WARN, Verdict.OK)
        assert "lies in a file" in found["identity"].text
        assert "renewal" not in found

        enrolment.slots.reject(enrolment.renew(), "the broker says no")
        revocations.revoke(pair)
        read_again(broker)
        time.sleep(0.1)
        found = {finding.check: finding for finding in enrolled.inspect(enrolled_config, datetime.now(UTC))}
        assert "rejected: the broker says no" in found["renewal"].text
        assert "our certificate is revoked" in found["broker"].text
        assert found["broker"].verdict is Verdict.FAIL


def test_a_wrong_configuration_names_every_problem(tmp_path: Path):
    path = tmp_path / "gateway.toml"
    path.write_text('[gateway]\nid = "NOT ALLOWED"\nsurplus = 1\n')

    config, findings = host.configuration(path)

    assert config is None
    assert len(findings) >= 2
    assert {finding.verdict for finding in findings} == {Verdict.FAIL}


def test_who_may_only_look_is_told_how_to_join(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(host, "group_id", {"reed": 4242}.get)

    [outside] = host.permission("reed")
    [absent] = host.permission("other")
    monkeypatch.setattr(os, "getgroups", lambda: [4242])
    [inside] = host.permission("reed")

    assert (outside.verdict, inside.verdict) == (Verdict.WARN, Verdict.OK)
    assert "usermod -aG reed" in outside.advice
    assert "groupadd -r other" in absent.advice


def test_doctor_prints_a_line_for_each_finding_and_fails_if_one_does(
    gateway: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    at = str(gateway.config.socket)
    status = main(["doctor", "--socket", at, "--config", str(tmp_path / "absent.toml")])

    lines = capsys.readouterr().out.splitlines()
    assert status == 1
    assert any(line.startswith("fail  config: ") for line in lines)
    assert "ok    daemon: hq-01 0.1.0 answers, up 1 h 1 min" in lines
    assert all(line[:4].strip() in ("ok", "warn", "fail") for line in lines)


def test_doctor_without_a_gateway_still_looks_at_the_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    status = main(
        ["doctor", "--json", "--socket", str(tmp_path / "none"), "--config", str(tmp_path / "none.toml")]
    )

    findings = json.loads(capsys.readouterr().out)
    assert status == 1
    assert {"config", "permission", "daemon"} <= {finding["check"] for finding in findings}


def test_each_state_of_a_valve_has_its_own_advice():
    view = example_view() | {"alarms": []}
    view["sensors"].pop("cellar")
    advice = {}
    for state in ("fault", "unknown", "out_of_service"):
        view["valves"]["main"]["state"] = state
        (finding,) = (f for f in building.inspect(view) if f.verdict is not Verdict.OK)
        advice[state] = finding.advice

    assert "valve lockout main" in advice["fault"]
    assert "valve close main" in advice["unknown"]
    assert "valve auto main" in advice["out_of_service"]
