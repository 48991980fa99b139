"""Two processes on one home at the same time, as a service and an operator's terminal are."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloud.ca import crl
from cloud.home import Home
from cloud.registry import services
from cloud.registry.models import Certificate
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import enrolled

REPOSITORY = Path(__file__).parents[2]
WORKER = """
import sys
from pathlib import Path
from cloud.home import Home
from cloud.project.setup import start
start(Home(Path(sys.argv[1])))
from cloud.errors import CloudError, RefusedError
from cloud.registry import services
from cloud.registry.parts import parts
from tests.fakes.broker_admin import ModelBroker
from tests.fakes.device import Device, csr_der, new_key
parts()._broker = ModelBroker()
name, rounds = sys.argv[3], int(sys.argv[4])
sys.stdin.readline()
"""
DECIDE = """
for _ in range(rounds):
    services.deny(name, actor="cli:test", reason="test")
    services.grant(name, actor="cli:test", reason="test")
services.deny(name, actor="cli:test", reason="test")
"""
RENEW = """
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
home = Path(sys.argv[2])
leaf = x509.load_pem_x509_certificate((home / "leaf.pem").read_bytes())
key = load_pem_private_key((home / "leaf.key").read_bytes(), None)
device, got = Device(name, key=key, chain=[leaf]), 0
for number in range(6 * rounds):
    try:
        device.renew() if number % 2 else device.recover()
        got += 1
    except RefusedError as error:
        assert error.reason in ("gateway-denied", "certificate-revoked", "too-many-tries"), error
print(got)
"""
ENROL = """
secret = (Path(sys.argv[2]) / "secret").read_text()
device, got = Device(name, secret=secret), "refused"
try:
    device.enrol()
    got = "won"
except RefusedError as error:
    assert error.reason in ("token-used", "gateway-denied"), error
print(got)
"""


def begin(home: Home, folder: Path, script: str, name: str, rounds: int = 0) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WORKER + script, str(home.folder), str(folder), name, str(rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def finished(workers: "list[subprocess.Popen[str]]") -> list[str]:
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    said = []
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, err
        said.append(out.strip())
    return said


def test_whatever_is_issued_while_a_gateway_is_denied_is_revoked(home: Home, tmp_path: Path):
    device = enrolled("gw-1")
    write_pair(device, tmp_path)
    finished([begin(home, tmp_path, DECIDE, "gw-1", 5), begin(home, tmp_path, RENEW, "gw-1", 5)])
    assert services.find("gw-1").state == "denied"
    issued = Certificate.objects.filter(name="gw-1", not_after__gt=datetime.now(UTC))
    assert not issued.filter(revoked_at__isnull=True).exists()
    listed = {entry.serial_number for each in crl.read(home.crl_file.read_bytes()) for entry in each}
    assert {int(each.serial, 16) for each in issued} <= listed
    assert services.verify_audit().problem == ""


def write_pair(device: object, folder: Path) -> None:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    from cloud.ca.certificates import pem  # noqa: PLC0415
    from tests.fakes.device import Device  # noqa: PLC0415

    assert isinstance(device, Device)
    folder.joinpath("leaf.pem").write_bytes(pem(device.certificate))
    folder.joinpath("leaf.key").write_bytes(
        device.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


@pytest.mark.usefixtures("broker")
def test_of_processes_that_race_for_one_token_one_wins_unless_it_is_denied_first(home: Home, tmp_path: Path):
    services.expect("gw-1", site="Tower", actor="cli:test")
    tmp_path.joinpath("secret").write_text(services.new_token("gw-1", actor="cli:test").split(".")[1])
    workers = [begin(home, tmp_path, ENROL, "gw-1") for _ in range(3)]
    *said, _ = finished([*workers, begin(home, tmp_path, DECIDE, "gw-1")])
    assert said.count("won") <= 1
    assert services.find("gw-1").state == "denied"
    held = Certificate.objects.filter(name="gw-1")
    assert held.count() == said.count("won")
    assert not held.filter(revoked_at__isnull=True).exists()
    assert services.verify_audit().problem == ""


def test_a_process_that_restarts_keeps_denying(home: Home, broker: ModelBroker):
    device = enrolled("gw-1")
    services.deny("gw-1", actor="cli:test", reason="test")
    broker.access.add("gw-1")  # a broker restored from its own backup
    script = "services.reconcile(); print(sorted(parts().broker.granted()))"
    [said] = finished([begin(home, home.folder, f"parts()._broker.access = {{'gw-1'}}\n{script}", "-", 0)])
    assert said == "[]"
    assert services.find("gw-1").state == "denied"
    assert device.certificate.serial_number in {
        entry.serial_number for each in crl.read(home.crl_file.read_bytes()) for entry in each
    }
