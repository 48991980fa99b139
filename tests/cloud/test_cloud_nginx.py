"""nginx with our configuration, for real: who comes through, and what the others are told."""

import json
import shutil
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cloud.errors import SetupError
from cloud.home import Home
from cloud.registry.config import Public
from cloud.run.nginx import BODY_MAX_BYTES, config_text
from tests.cloud.front import Answer, Front, Pair
from tests.fakes.authority import Authority, Signer

EST = "/.well-known/est/cacerts"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("nginx"))
    home = made.home
    shutil.copy(home.cert_file("broker"), home.cert_file("web"))
    shutil.copy(home.key_file("broker"), home.key_file("web"))
    home.crl_file.write_bytes(made.crl())
    return made


@pytest.fixture
def own_home(authority: Authority, tmp_path: Path) -> Home:
    """A copy for a server that is treated badly."""
    home = Home(tmp_path / "home")
    shutil.copytree(authority.home.folder, home.folder, ignore=shutil.ignore_patterns("run", "nginx"))
    return home


@pytest.fixture(scope="module")
def front(authority: Authority) -> Iterator[Front]:
    with Front(authority.home, "tests.cloud.echo:application") as running:
        yield running


def certificate(folder: Path, signer: Signer, begins: datetime, ends: datetime) -> Pair:
    """Return certificate and key of a client for a time."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "house-7")])
    made = (
        x509.CertificateBuilder(signer.subject, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .sign(signer.key, hashes.SHA256())
    )
    pair = folder / "made.pem", folder / "made.key"
    pair[0].write_bytes(made.public_bytes(Encoding.PEM) + signer.certificate.public_bytes(Encoding.PEM))
    pair[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return pair


def received(answer: Answer) -> dict[str, list[str]]:
    """Return the headers that reached the application; each name with all its values."""
    assert answer.status == 200, answer.body
    found: dict[str, list[str]] = {}
    for name, value in json.loads(answer.body)["headers"]:
        found.setdefault(name, []).append(value)
    return found


# --- who one is -------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_without_a_certificate_one_comes_through_as_nobody(front: Front, tls: ssl.TLSVersion):
    headers = received(front.ask("GET", EST, context=front.context(tls=tls)))

    assert headers["x-reed-client-verify"] == ["NONE"]
    assert "x-reed-client-cert" not in headers
    assert headers["x-reed-peer"] == ["127.0.0.1"]


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_certificate_of_ours_reaches_the_application(
    front: Front, authority: Authority, tls: ssl.TLSVersion
):
    pair = authority.files("house-7")

    headers = received(front.ask("GET", EST, context=front.context(pair, tls)))

    assert headers["x-reed-client-verify"] == ["SUCCESS"]
    (escaped,) = headers["x-reed-client-cert"]
    assert escaped.startswith("-----BEGIN%20CERTIFICATE-----%0A")


@pytest.mark.parametrize("path", [EST, "/reed/v1/parameters", "/"])
def test_forged_headers_do_not_reach_the_application(front: Front, path: str):
    names = ("Client-Verify", "Client-Cert", "Peer")
    spellings = ("X-Reed-{}", "x-reed-{}", "X_REED_{}", "X-Reed_{}")
    forged = {each.format(name): "SUCCESS" for name in names for each in spellings}
    forged |= {each.replace("-", "_"): "SUCCESS" for each in forged}

    headers = received(front.ask("GET", path, headers=forged))

    assert "SUCCESS" not in [value for values in headers.values() for value in values]
    assert headers["x-reed-client-verify"] == ["NONE"]
    assert [name for name in headers if "_" in name] == []


def test_a_forged_forwarding_does_not_hide_the_peer(front: Front):
    headers = received(
        front.ask("GET", EST, headers={"X-Forwarded-For": "10.1.2.3", "X-Real-IP": "10.1.2.3"})
    )

    assert headers["x-forwarded-for"] == ["127.0.0.1"]
    assert headers["x-reed-peer"] == ["127.0.0.1"]


# --- certificates that are not taken ----------------------------------------------------------------


@pytest.mark.parametrize("path", [EST, "/reed/v1/recovery", "/"])
def test_a_revoked_certificate_is_refused_after_a_reload_and_let_in_again_after_the_next(
    front: Front, authority: Authority, path: str
):
    pair = authority.files("house-8")
    received(front.ask("GET", path, pair=pair))

    authority.home.crl_file.write_bytes(authority.hold("house-8"))
    front.reload()
    answer = front.ask("GET", path, pair=pair)
    authority.home.crl_file.write_bytes(authority.release("house-8"))
    front.reload()

    assert answer.status == 403
    assert answer.headers["Reed-Reason"] == "certificate-revoked"
    assert "revoked; the gateway is denied" in answer.line
    received(front.ask("GET", path, pair=pair))


def test_nobody_slips_past_the_crl_on_a_connection_that_was_open_before(front: Front, authority: Authority):
    context = front.context(authority.files("house-9"))
    with (
        socket.create_connection(("127.0.0.1", front.port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(f"GET {EST} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert tls.recv(65_536).startswith(b"HTTP/1.1 200")

        authority.home.crl_file.write_bytes(authority.hold("house-9"))
        front.reload()

        tls.settimeout(5)
        assert tls.recv(1) == b""  # closed
    authority.home.crl_file.write_bytes(authority.release("house-9"))
    front.reload()


@pytest.mark.parametrize("tls", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_tls_session_is_resumed_past_the_crl(front: Front, authority: Authority, tls: ssl.TLSVersion):
    context = front.context(authority.files("house-7"), tls)
    sessions = []
    for _ in range(2):
        with (
            socket.create_connection(("127.0.0.1", front.port)) as plain,
            context.wrap_socket(
                plain, server_hostname="localhost", session=sessions[0] if sessions else None
            ) as connection,
        ):
            connection.sendall(f"GET {EST} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            while connection.recv(65_536):
                pass
            assert not connection.session_reused
            sessions.append(connection.session)


def test_an_expired_certificate_is_told_how_to_recover(front: Front, authority: Authority, tmp_path: Path):
    now = datetime.now(UTC)
    pair = certificate(tmp_path, authority.signer, now - 48 * HOUR, now - HOUR)

    answer = front.ask("GET", EST, pair=pair)

    assert (answer.status, answer.headers["Reed-Reason"]) == (403, "certificate-expired")
    assert "recover" in answer.line


def test_a_certificate_from_the_future_is_called_so(front: Front, authority: Authority, tmp_path: Path):
    now = datetime.now(UTC)
    pair = certificate(tmp_path, authority.signer, now + HOUR, now + 48 * HOUR)

    answer = front.ask("GET", EST, pair=pair)

    assert (answer.status, answer.headers["Reed-Reason"]) == (403, "certificate-too-early")
    assert "not valid yet" in answer.line


@pytest.mark.parametrize("name", ["Test Intermediate", "Stranger"])
@pytest.mark.parametrize("alone", [False, True])
def test_a_certificate_of_another_authority_is_refused(
    front: Front, tmp_path: Path, name: str, *, alone: bool
):
    now = datetime.now(UTC)
    pair = certificate(tmp_path, Signer(name), now - HOUR, now + HOUR)
    if alone:
        leaf = x509.load_pem_x509_certificate(pair[0].read_bytes())
        pair[0].write_bytes(leaf.public_bytes(Encoding.PEM))

    answer = front.ask("GET", EST, pair=pair)

    assert (answer.status, answer.headers["Reed-Reason"]) == (403, "certificate-unknown")
    assert "not issued by this authority" in answer.line


def test_a_servers_certificate_is_no_clients(front: Front, authority: Authority):
    answer = front.ask("GET", EST, pair=authority.files("broker-admin"))
    assert answer.status == 200

    home = authority.home
    answer = front.ask("GET", EST, pair=(home.cert_file("broker"), home.key_file("broker")))

    assert (answer.status, answer.headers["Reed-Reason"]) == (403, "certificate-purpose")


def test_an_outdated_crl_is_our_trouble_and_no_denial(front: Front, authority: Authority):
    old = datetime.now(UTC) - timedelta(days=30)
    authority.home.crl_file.write_bytes(authority.crl(made_at=old))
    front.reload()
    answer = front.ask("GET", EST, pair=authority.files("house-7"))
    without = front.ask("GET", EST)
    authority.home.crl_file.write_bytes(authority.crl())
    front.reload()

    assert (answer.status, answer.headers["Reed-Reason"]) == (503, "crl-outdated")
    assert "out of date" in answer.line
    assert without.status == 200


# --- sizes, times, garbage --------------------------------------------------------------------------


def test_a_body_of_the_largest_size_passes_and_one_byte_more_does_not(front: Front):
    answer = front.ask("POST", EST, b"x" * BODY_MAX_BYTES)
    assert json.loads(answer.body)["body_bytes"] == BODY_MAX_BYTES

    answer = front.ask("POST", EST, b"x" * (BODY_MAX_BYTES + 1))

    assert answer.status == 413
    assert str(BODY_MAX_BYTES) in answer.line


def test_a_chunked_body_is_gathered_and_held_against_the_same_limit(front: Front):
    head = (
        f"POST {EST} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    small = front.raw(head.encode() + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert b'"body_bytes": 5' in small
    assert b'["content-length", "5"]' in small

    large = front.raw(head.encode() + b"9000\r\n" + b"x" * 0x9000 + b"\r\n0\r\n\r\n")

    assert large.startswith(b"HTTP/1.1 413")


def test_http_1_0_without_a_host_is_served(front: Front):
    answer = front.raw(f"GET {EST} HTTP/1.0\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 200")
    assert b'["host", "localhost"]' in answer


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\0\1\2\3 garbage\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", b"400"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"431"),
    ],
)
def test_what_is_no_request_gets_one_line_and_the_connection_ends(
    front: Front, request_bytes: bytes, status: bytes
):
    answer = front.raw(request_bytes)
    head, _, body = answer.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"text/plain" in head
    assert body.count(b"\n") == 1, body


def test_garbage_after_a_good_request_does_not_spoil_its_answer(front: Front):
    answer = front.raw(f"GET {EST} HTTP/1.1\r\nHost: localhost\r\n\r\n\1\2garbage\r\n\r\n".encode())

    first, _, second = answer[1:].partition(b"HTTP/1.1 ")
    assert first.startswith(b"TTP/1.1 200")
    assert second.startswith(b"400")


def test_a_second_request_hidden_in_a_body_does_not_reach_the_application(front: Front):
    hidden = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\nX-Reed-Client-Verify: SUCCESS\r\n\r\n"
    head = f"POST {EST} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(hidden)}\r\nConnection: close\r\n\r\n"

    answer = front.raw(head.encode() + hidden)

    assert answer.count(b"HTTP/1.1 200") == 1
    assert b"/hidden" not in answer


def test_plain_http_gets_a_line_that_says_so(front: Front):
    with socket.create_connection(("127.0.0.1", front.port), 10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = plain.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"HTTPS only" in answer


def test_who_sends_too_slowly_loses_the_connection_and_holds_up_nobody(own_home: Home):
    beginnings = (
        "GET / HTTP/1.1\r\nHost: a\r\n",
        f"POST {EST} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    )
    with Front(own_home, "tests.cloud.echo:application", timeout_s="1") as own:
        for beginning in beginnings:
            with (
                socket.create_connection(("127.0.0.1", own.port), 20) as plain,
                own.context().wrap_socket(plain, server_hostname="localhost") as slow,
            ):
                slow.sendall(beginning.encode())
                assert own.ask("GET", EST).status == 200
                rest = slow.recv(65_536)
            assert rest == b"" or b" 408 " in rest


def test_a_dead_application_is_told_in_one_line(own_home: Home):
    with Front(own_home, "tests.cloud.echo:application") as own:
        own.stop_application()
        answer = own.ask("GET", EST)

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "60"
    assert "try again" in answer.line


def test_too_many_requests_at_once_are_slowed_down(own_home: Home):
    with Front(own_home, "tests.cloud.echo:application") as own:
        request = f"GET {EST} HTTP/1.1\r\nHost: localhost\r\n"
        requests = f"{request}\r\n".encode() * 90 + f"{request}Connection: close\r\n\r\n".encode()
        answers = own.raw(requests) + own.raw(requests)

    assert answers.count(b"HTTP/1.1 200") >= 100
    assert answers.count(b"HTTP/1.1 429") >= 10


# --- the text ---------------------------------------------------------------------------------------


def test_a_home_that_nginx_could_misread_is_refused(tmp_path: Path):
    for name in ('a"b', "a$b", "a;b", "a{b", "a\nb"):
        with pytest.raises(SetupError, match="nginx needs a path"):
            config_text(Home(tmp_path / name), Public())


def test_a_home_too_deep_for_a_socket_is_refused(tmp_path: Path):
    with pytest.raises(SetupError, match="bytes of a socket's path"):
        config_text(Home(Path("/var/lib") / ("x" * 100)), Public())


def test_an_address_of_ip_6_is_written_as_nginx_wants_it():
    assert "listen [::1]:8443 ssl" in config_text(Home(Path("/srv/reed")), Public(bind="::1"))
    assert "listen [::]:8443 ipv6only=off ssl" in config_text(Home(Path("/srv/reed")), Public())
