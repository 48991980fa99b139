"""Large and small answers over real TLS with our own certificate, from good servers and bad ones."""

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.errors import IdentityError
from gateway.identity.https import Request
from gateway.identity.web import Head, Web
from tests.fakes.issuer import Issuer, key_pem, pem
from tests.fakes.tls_ends import head, scripted

BODY = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("issuer"))


@contextmanager
def web(issuer: Issuer, serve: Callable[[ssl.SSLSocket], None], folder: str = "") -> Iterator[Web]:
    with scripted(issuer, serve) as url:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(issuer.root_file)
        yield Web(url + folder, lambda: nullcontext(context))


def whole(connection: ssl.SSLSocket) -> None:
    asked = head(connection)
    path = asked.split(b" ")[1]
    status = b"200 OK" if path == b"/fleet/targets/x" else b"404 Not Found"
    connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: %d\r\nETag: abc\r\n\r\n" % (status, len(BODY)) + BODY)


def read(one: Web, stall_s: float = 5.0, max_bytes: int = len(BODY)) -> tuple[Head, bytes]:
    data = bytearray()
    found = one.read(Request("GET", "/targets/x"), data.extend, stall_s=stall_s, max_bytes=max_bytes)
    return found, bytes(data)


def test_a_large_answer_comes_in_pieces_with_its_headers_first(issuer: Issuer):
    order: list[str] = []
    with web(issuer, whole, "/fleet/") as one:
        one.read(
            Request("GET", "/targets/x"),
            lambda _: order.append("piece"),
            stall_s=5.0,
            max_bytes=len(BODY),
            on_head=lambda found: order.append(f"{found.status} {found.headers['etag']}"),
        )
        assert order[0] == "200 abc"
        assert order.count("piece") > 1
        assert read(one)[1] == BODY


def test_the_body_of_a_refusal_is_no_part_of_the_file(issuer: Issuer):
    with web(issuer, whole) as one:
        found, data = read(one)
    assert (found.status, data) == (404, b"")


def test_a_small_answer_is_returned_whole_whatever_its_status(issuer: Issuer):
    with web(issuer, whole) as one:
        found, data = one.ask(Request("GET", "/none"), timeout_s=5.0, max_bytes=len(BODY))
    assert (found.status, found.is_success, data) == (404, False, BODY)


def test_our_certificate_is_shown(issuer: Issuer, tmp_path: Path):
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key").write_bytes(key_pem(key))
    ours = issuer.issue(key.public_key(), "hq-01")
    (tmp_path / "cert").write_bytes(pem(ours) + pem(issuer.intermediate))
    lent: list[str] = []

    @contextmanager
    def lend() -> Iterator[ssl.SSLContext]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(issuer.root_file)
        context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
        lent.append("lent")
        yield context
        lent.append("back")

    def serve(connection: ssl.SSLSocket) -> None:
        head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with scripted(issuer, serve) as url:
        Web(url, lend).ask(Request("GET", "/"), timeout_s=5.0, max_bytes=10)
    assert lent == ["lent", "back"]


def test_an_answer_that_ends_early_is_broken(issuer: Issuer):
    def serve(connection: ssl.SSLSocket) -> None:
        head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + BODY[:5000])
        connection.unwrap()

    with web(issuer, serve) as one, pytest.raises(IdentityError, match="broken answer"):
        read(one)


def test_more_than_was_allowed_is_broken_before_it_is_all_here(issuer: Issuer):
    with web(issuer, whole, "/fleet") as one, pytest.raises(IdentityError, match="over 1000 bytes"):
        read(one, max_bytes=1000)


@pytest.mark.parametrize("drip", [b"", b"x"])
def test_a_server_that_stalls_or_only_drips_is_left(issuer: Issuer, drip: bytes):
    def serve(connection: ssl.SSLSocket) -> None:
        head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(100):
            time.sleep(0.1)
            connection.sendall(drip or b"")

    with web(issuer, serve) as one:
        began_s = time.monotonic()
        with pytest.raises(IdentityError, match=r"did not answer within 0\.5 s"):
            read(one, stall_s=0.5)
        assert time.monotonic() - began_s < 8


def test_a_server_that_never_ends_its_headers_is_left(issuer: Issuer):
    def serve(connection: ssl.SSLSocket) -> None:
        head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(60):
            time.sleep(0.1)
            connection.sendall(b"X-%d: y\r\n" % number)

    with web(issuer, serve) as one, pytest.raises(IdentityError, match="did not answer"):
        read(one, stall_s=0.5)


def test_what_the_sink_raises_ends_the_connection_and_is_raised_on(issuer: Issuer):
    class Enough(Exception):  # noqa: N818  # a turn, not a failure
        pass

    def sink(_: bytes) -> None:
        raise Enough

    with web(issuer, whole, "/fleet") as one, pytest.raises(Enough):
        one.read(Request("GET", "/targets/x"), sink, stall_s=5.0, max_bytes=len(BODY))


def test_another_authority_is_not_believed(issuer: Issuer, tmp_path: Path):
    other = Issuer(tmp_path)
    with scripted(other, whole) as url:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(issuer.root_file)
        with pytest.raises(IdentityError, match="another authority"):
            read(Web(url, lambda: nullcontext(context)))
