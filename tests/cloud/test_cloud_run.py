"""`reed-cloud run` on real programs: ready when all answers, mended when a part dies, nothing left over."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.home import Home
from tests.cloud.reed_cloud import (
    Running,
    done,
    free_ports,
    is_alive,
    new_home,
    reed_cloud,
    running,
    setting,
    until,
)
from tests.fakes.broker import needs_mosquitto

pytestmark = [pytest.mark.broker, needs_mosquitto, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = new_home(tmp_path_factory.mktemp("cloud") / "home")
    setting(made, "timeout_s", "1.0")
    return made


@pytest.fixture(scope="module")
def shared(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return one that all tests of this module use, which leave it as they found it."""
    with running(home, tmp_path_factory.mktemp("log") / "run.log") as cloud:
        yield cloud


def port(home: Home, key: str) -> int:
    lines = home.settings_file.read_text().splitlines()
    return int(next(line.split(" = ")[1] for line in lines if line.startswith(f"{key} = ")))


def get(home: Home, path: str) -> tuple[int, str]:
    context = ssl.create_default_context(cafile=str(home.roots_file))
    url = f"https://localhost:{port(home, 'https_port')}{path}"
    try:
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def shown_certificate(home: Home, key: str) -> bytes:
    """Return what a server shows at its door, verified by nobody."""
    context = ssl.create_default_context(cafile=str(home.roots_file))
    if key != "https_port":
        context.load_cert_chain(home.cert_file("ingest"), home.key_file("ingest"))
    with (
        socket.create_connection(("127.0.0.1", port(home, key)), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        shown = wrapped.getpeercert(binary_form=True)
    assert shown is not None
    return shown


def in_file(path: Path) -> bytes:
    leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
    return leaf.public_bytes(serialization.Encoding.DER)


def states(home: Home) -> dict[str, str]:
    return {
        row["id"]: row["state"]
        for row in json.loads(done("gateway", "list", "--json", "--home", home.folder))
    }


def test_ready_means_that_everything_answers(shared: Running, home: Home):
    assert get(home, "/healthz") == (200, "ok\n")
    status, page = get(home, "/")
    assert status == 200
    assert "connections now" in page
    assert f"STATUS=all answers: https://localhost:{port(home, 'https_port')}" in shared.heard


def test_three_programs_stand_below_it_and_their_pid_files_name_them(shared: Running):
    names = {Path(f"/proc/{pid}/comm").read_text().strip() for pid in shared.below}

    assert {"mosquitto", "nginx"} <= names
    assert {shared.pid_of("mosquitto"), shared.pid_of("nginx")} <= set(shared.below)
    assert shared.pid_of("reed-cloud") == shared.process.pid


def test_commands_work_beside_it_and_the_front_page_shows_no_name(shared: Running, home: Home):
    done("gateway", "expect", "secret-lab", "--site", "Hidden Street", "--home", home.folder)

    _, page = get(home, "/")
    assert "secret-lab" not in page
    assert "Hidden" not in page
    assert '<th scope="row">expected</th><td>1</td>' in page


def test_a_second_one_on_the_same_home_is_refused_with_the_first_ones_number(shared: Running, home: Home):
    refused = reed_cloud("run", "--home", home.folder)

    assert refused.returncode == os.EX_UNAVAILABLE
    assert refused.stderr == (
        f"reed-cloud: {home.folder}: reed-cloud runs there already (process {shared.process.pid})\n"
    )
    assert shared.pid_of("reed-cloud") == shared.process.pid


@pytest.mark.parametrize("program", ["mosquitto", "nginx"])
def test_a_killed_program_comes_back_and_the_log_says_why_it_went(shared: Running, home: Home, program: str):
    former = shared.pid_of(program)
    os.kill(former, signal.SIGKILL)

    shared.until_logged(f"{program} ended by SIGKILL")
    until(lambda: shared.pid_of(program) != former, f"another {program}")
    until(lambda: get(home, "/healthz") == (200, "ok\n"), "health")
    until(lambda: reed_cloud("ca", "crl", "--home", home.folder).returncode == 0, "the broker's answer")


def test_a_killed_web_application_comes_back(shared: Running, home: Home):
    lives = shared.log.count("web ended by SIGKILL")
    web = next(pid for pid in shared.below if b"uvicorn" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(web, signal.SIGKILL)

    until(lambda: shared.log.count("web ended by SIGKILL") > lives, "its end in the log")
    until(lambda: get(home, "/healthz") == (200, "ok\n"), "health")


@pytest.mark.parametrize(("service", "key"), [("web", "https_port"), ("broker", "admin_port")])
def test_a_new_certificate_is_shown_at_the_door_without_a_restart(
    shared: Running, home: Home, service: str, key: str
):
    program = {"web": "nginx", "broker": "mosquitto"}[service]
    before, pid = in_file(home.cert_file(service)), shared.pid_of(program)
    assert shown_certificate(home, key) == before

    home.cert_file(service).unlink()
    shared.process.send_signal(signal.SIGHUP)

    until(lambda: home.cert_file(service).exists(), "a new certificate")
    assert in_file(home.cert_file(service)) != before
    until(lambda: shown_certificate(home, key) == in_file(home.cert_file(service)), "it at the door")
    assert shared.pid_of(program) == pid


def enrol(home: Home, gateway_id: str) -> None:
    """Become a gateway, as RFC 7030 has it."""
    done("gateway", "expect", gateway_id, "--home", home.folder)
    secret = done("token", "create", gateway_id, "--home", home.folder).split(".")[1]
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, gateway_id)])
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    request = urllib.request.Request(
        f"https://localhost:{port(home, 'https_port')}/.well-known/est/simpleenroll",
        data=base64.b64encode(csr.public_bytes(serialization.Encoding.DER)),
        headers={
            "Content-Type": "application/pkcs10",
            "Authorization": "Basic " + base64.b64encode(f"{gateway_id}:{secret}".encode()).decode(),
        },
    )
    context = ssl.create_default_context(cafile=str(home.roots_file))
    with urllib.request.urlopen(request, context=context, timeout=10) as answer:  # noqa: S310  # https
        assert answer.status == 200


def let_in(home: Home) -> set[str]:
    """Return whom mosquitto would let in; its plugin writes that down at each change."""
    access = json.loads((home.broker / "dynamic-security.json").read_text())
    return {client["username"] for client in access["clients"]}


def test_what_was_decided_while_the_broker_hung_is_carried_out_when_it_answers_again(
    shared: Running, home: Home
):
    enrol(home, "house-9")
    assert "house-9" in let_in(home)
    os.kill(shared.pid_of("mosquitto"), signal.SIGSTOP)
    try:
        decided = reed_cloud("gateway", "deny", "house-9", "--reason", "a test", "--home", home.folder)
    finally:
        os.kill(shared.pid_of("mosquitto"), signal.SIGCONT)

    assert decided.returncode == os.EX_UNAVAILABLE
    assert decided.stderr.count("\n") == 1
    assert states(home)["house-9"] == "denied"
    until(lambda: "house-9" not in let_in(home), "the denial at the broker")


def test_what_the_broker_forgot_is_put_right_from_the_registry(shared: Running, home: Home):
    enrol(home, "house-10")
    former = shared.pid_of("mosquitto")
    os.kill(former, signal.SIGKILL)
    (home.broker / "dynamic-security.json").write_text("{")

    until(lambda: shared.pid_of("mosquitto") != former, "another mosquitto")
    until(lambda: let_in(home) >= {"house-10", "ingest", "broker-admin"}, "those whom the registry knows")


def test_the_certificate_of_another_intermediate_is_taken_up_without_a_restart(
    shared: Running, home: Home, tmp_path: Path
):
    pid = shared.pid_of("nginx")
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("a passphrase of more than twenty letters\n")
    done("ca", "root", "--root-passphrase-file", passphrase, "--home", home.folder)
    before = in_file(home.cert_file("web"))
    done("ca", "intermediate", "--at-once", "--root-passphrase-file", passphrase, "--home", home.folder)

    until(lambda: in_file(home.cert_file("web")) != before, "a certificate of the new intermediate")
    until(lambda: shown_certificate(home, "https_port") == in_file(home.cert_file("web")), "it at the door")
    until(lambda: get(home, "/healthz") == (200, "ok\n"), "health")
    assert shared.pid_of("nginx") == pid
    until(lambda: reed_cloud("ca", "crl", "--home", home.folder).returncode == 0, "the broker follows")


# --- beginnings and ends --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return new_home(tmp_path_factory.mktemp("template") / "home")


@pytest.fixture
def own(template: Home, tmp_path: Path) -> Home:
    """Return a home for one test, on ports of its own."""
    made = Home(tmp_path / "home")
    shutil.copytree(template.folder, made.folder)
    text = made.settings_file.read_text()
    for key, number in zip(("https_port", "port", "admin_port"), free_ports(3), strict=True):
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {number}", text)
    made.settings_file.write_text(text)
    return made


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_good_order_leaves_neither_process_nor_pid_file(
    own: Home, tmp_path: Path, number: signal.Signals
):
    with running(own, tmp_path / "log") as cloud:
        below = cloud.below
        began_s = time.monotonic()
        cloud.process.send_signal(number)

        assert cloud.process.wait(20) == 0
        assert time.monotonic() - began_s < 15
        cloud.listen()
        assert "STOPPING=1" in cloud.heard
        assert not [pid for pid in below if is_alive(pid)]
        assert sorted(path.name for path in own.run.iterdir() if path.suffix == ".pid") == []


def test_killed_it_leaves_no_orphans_and_the_next_one_starts(own: Home, tmp_path: Path):
    with running(own, tmp_path / "log") as cloud:
        below = cloud.below
        assert len(below) >= 4  # mosquitto, nginx and its worker, the application
        cloud.process.kill()
        until(lambda: not [pid for pid in below if is_alive(pid)], "the end of what it had started")

    with running(own, tmp_path / "again"):
        assert get(own, "/healthz") == (200, "ok\n")


def test_stopped_while_it_is_starting_it_leaves_nothing(own: Home, tmp_path: Path):
    cloud = Running(own, tmp_path / "log")
    try:
        until(lambda: cloud.below, "a child")
        below = cloud.below
        cloud.process.terminate()
        cloud.process.wait(20)
        until(lambda: not [pid for pid in below if is_alive(pid)], "the end of what it had started")
    finally:
        cloud.end()


def test_revocation_lists_are_published_again_and_again(own: Home, tmp_path: Path):
    setting(own, "crl_refresh_s", "1")
    with running(own, tmp_path / "log") as cloud:
        before = own.crl_file.read_bytes()
        time.sleep(1.1)
        cloud.process.send_signal(signal.SIGHUP)
        until(lambda: own.crl_file.read_bytes() != before, "new lists")
        until(lambda: get(own, "/healthz") == (200, "ok\n"), "health")


@pytest.mark.parametrize("key", ["https_port", "port", "admin_port"])
def test_a_port_in_use_is_named_with_its_setting(own: Home, key: str):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port(own, key)))
        taken.listen()
        refused = reed_cloud("run", "--home", own.folder)

    assert refused.returncode == os.EX_UNAVAILABLE
    assert refused.stderr.count("\n") == 1
    assert f"port {port(own, key)} of 127.0.0.1 is in use by another program" in refused.stderr
    assert key in refused.stderr


def test_an_address_of_another_machine_is_named(own: Home):
    own.settings_file.write_text(
        own.settings_file.read_text().replace('bind = "127.0.0.1"', 'bind = "192.0.2.1"')
    )
    refused = reed_cloud("run", "--home", own.folder)

    assert refused.returncode == os.EX_UNAVAILABLE
    assert "192.0.2.1 is no address of this machine" in refused.stderr


def test_settings_that_make_no_sense_are_named_before_anything_is_started(own: Home):
    setting(own, "crl_days", '"a week"')
    refused = reed_cloud("run", "--home", own.folder)

    assert refused.returncode == os.EX_CONFIG
    assert refused.stderr.count("\n") == 1
    assert "policy.crl_days" in refused.stderr


def test_a_program_that_cannot_start_ends_it_with_that_programs_last_words(own: Home):
    """Here mosquitto: its certificate's folder is a file. As it never answered, nobody tries for ever."""
    own.key_file("broker").unlink()
    own.key_file("broker").mkdir()
    refused = reed_cloud("run", "--home", own.folder)

    assert refused.returncode not in (0, 70)
    assert refused.stderr.splitlines()[-1].startswith("reed-cloud: ")
    assert "Traceback" not in refused.stderr


def test_a_damaged_database_is_one_line(own: Home):
    own.database_file.write_bytes(b"no database at all" * 1000)
    for command in (("run",), ("gateway", "list"), ("audit", "--verify")):
        refused = reed_cloud(*command, "--home", own.folder)

        assert refused.returncode in (os.EX_UNAVAILABLE, os.EX_CONFIG)
        assert refused.stderr.count("\n") == 1
        assert "database" in refused.stderr
