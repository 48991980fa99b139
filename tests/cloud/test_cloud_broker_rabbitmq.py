"""RabbitMQ's side that needs no RabbitMQ: names of CRL files, what is refused before anything is sent."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cloud.brokers import open_broker
from cloud.brokers.rabbitmq import crl_dir, rights
from cloud.brokers.rabbitmq.api import Api
from cloud.brokers.settings import Settings
from cloud.errors import BrokerError
from tests.fakes.authority import Authority, Signer
from tests.fakes.mosquitto import free_ports


def _name(*rdns: list[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    return x509.Name(
        [x509.RelativeDistinguishedName([x509.NameAttribute(oid, text) for oid, text in rdn]) for rdn in rdns]
    )


NAMES = [
    _name([(NameOID.COMMON_NAME, "reed root")]),
    _name([(NameOID.COMMON_NAME, "  Reed   ROOT 2 ")]),
    _name([(NameOID.COUNTRY_NAME, "NO")], [(NameOID.ORGANIZATION_NAME, "Ærlig Vann AS")]),
    _name([(NameOID.COMMON_NAME, "x" * 64)], [(NameOID.ORGANIZATION_NAME, "y" * 64)]),
    _name([(NameOID.COMMON_NAME, "two"), (NameOID.ORGANIZATION_NAME, "in one")]),
    _name([(NameOID.COMMON_NAME, "domain")], [(NameOID.DOMAIN_COMPONENT, "Example")]),
    _name([(NameOID.COMMON_NAME, "tab\there\u00a0no-break ÅÄÖ")]),
]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("name", NAMES, ids=[name.rfc4514_string()[:20] for name in NAMES])
def test_crl_files_are_named_as_openssl_names_them(name: x509.Name) -> None:
    signer = Signer("any")
    signer.subject = name
    crl = signer.crl([])
    said = subprocess.run(["openssl", "crl", "-hash", "-noout"], input=crl, capture_output=True, check=True)
    assert crl_dir.issuer_hash(name) == said.stdout.decode().strip()


def test_the_folder_holds_each_crl_once_and_no_former_ones(tmp_path: Path) -> None:
    first, second = Signer("One"), Signer("Two")
    twin = Signer("One")  # a second key of the same name, while the first is replaced
    (tmp_path / "notes.txt").write_text("not ours")
    crl_dir.place(first.crl([1]) + twin.crl([2]) + second.crl([3]), tmp_path)
    one, two = crl_dir.issuer_hash(first.subject), crl_dir.issuer_hash(second.subject)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [f"{one}.r0", f"{one}.r1", f"{two}.r0", "notes.txt"]
    )
    crl_dir.place(twin.crl([4]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"{one}.r0", "notes.txt"])
    [entry] = x509.load_pem_x509_crl((tmp_path / f"{one}.r0").read_bytes())
    assert entry.serial_number == 4


def _refusal(authority: Authority, **settings: str) -> str:
    password_file = authority.home.folder / "password"
    password_file.write_text("secret\n")
    given = Settings(kind="rabbitmq", timeout_s=1.0, **{"api_password_file": str(password_file), **settings})  # type: ignore[arg-type]
    with pytest.raises(BrokerError) as caught:
        open_broker(given, authority.home).deny("gw-1")
    return str(caught.value)


def test_what_is_set_wrongly_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert "use https" in _refusal(authority, api_url="http://mq.example.com:15672")
    assert "write https://" in _refusal(authority, api_url="mq.example.com")
    assert "api_password_file" in _refusal(authority, api_password_file=str(tmp_path / "none"))
    assert "api_ca_file" in _refusal(authority, api_ca_file=str(tmp_path / "none"))
    [port] = free_ports(1)
    assert "cannot be reached" in _refusal(authority, api_url=f"https://localhost:{port}")


def test_a_wrong_crl_is_refused_even_where_none_is_used(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    admin = open_broker(Settings(kind="rabbitmq"), authority.home)
    admin.install_crl(authority.crl())
    with pytest.raises(BrokerError, match="no CRL"):
        admin.install_crl(authority.signer.certificate.public_bytes(Encoding.PEM))


def test_rights_are_the_protocol_s_to_the_letter() -> None:
    assert rights.topic_permission("gw-1") == {
        "exchange": "amq.topic",
        "write": r"^reed\.v1\.gw-1\.up\..*$",
        "read": r"^reed\.v1\.gw-1\.cmd\..*$",
    }
    assert rights.permission("gw-1")["configure"] == "^mqtt-subscription-gw-1qos[01]$"


@contextmanager
def _stumbling(times: int) -> Iterator[str]:
    """Answer 500 so often, then a list, as RabbitMQ does around a deletion; yield the address."""
    left = [times]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            left[0] -= 1
            self.send_response(500 if left[0] >= 0 else 200)
            self.end_headers()
            if left[0] < 0:
                self.wfile.write(b'["gw-1"]')

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("times", "answers"), [(0, True), (2, True), (9, False)])
def test_a_list_that_stumbles_over_a_deletion_is_asked_for_again(
    tmp_path: Path, times: int, answers: bool
) -> None:
    password_file = tmp_path / "password"
    password_file.write_text("secret\n")
    authority = Authority(tmp_path / "home")
    with _stumbling(times) as url:
        settings = Settings(kind="rabbitmq", timeout_s=5.0, api_url=url, api_password_file=str(password_file))
        with Api(settings, authority.home) as api:
            if answers:
                assert api.get("users") == ["gw-1"]
            else:
                with pytest.raises(BrokerError, match="answers 500"):
                    api.get("users")
