"""The client of the enrolment: what it gets from a server that keeps the rules, and from others."""

import base64
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import EnrolmentError, IdentityError, UnreachableError
from gateway.identity import answers, est
from gateway.identity.est import EstClient
from gateway.identity.https import Answer
from tests.fakes import est_cloud
from tests.fakes.est_cloud import SECRET, Cloud
from tests.fakes.issuer import HOUR, Issuer, der, key_pem, pem
from tests.fakes.maker import Chip
from tests.fakes.tls_ends import head, listening, scripted, silence

ID = "hq-01"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with est_cloud.served(est_cloud.cloud(tmp_path / "cloud")) as running:
        running.token(ID)
        yield running


@pytest.fixture
def key(tmp_path: Path) -> ec.EllipticCurvePrivateKey:
    made = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "key.pem").write_bytes(key_pem(made))
    return made


def csr(key: ec.EllipticCurvePrivateKey, name: str = ID) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def trusting(issuer: Issuer) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(issuer.root_file)
    return context


def client(cloud: Cloud, cert_file: Path | None = None, timeout_s: float = 5.0) -> EstClient:
    context = trusting(cloud.authority)
    if cert_file is not None:
        context.load_cert_chain(cert_file, cert_file.with_name("key.pem"))
    return EstClient(cloud.url, context, timeout_s)


def enrolled(cloud: Cloud, key: ec.EllipticCurvePrivateKey, folder: Path) -> Path:
    path = folder / "cert.pem"
    path.write_bytes(client(cloud).enrol(csr(key), ID, SECRET))
    return path


# --- a server that keeps the rules ----------------------------------------------------------------------


def test_the_certificates_of_the_authority_are_told(cloud: Cloud):
    assert set(client(cloud).cacerts()) == {der(cloud.authority.root), der(cloud.authority.intermediate)}


def test_a_token_becomes_a_certificate_for_our_key_with_its_intermediates(
    cloud: Cloud, key: ec.EllipticCurvePrivateKey
):
    chain = x509.load_pem_x509_certificates(client(cloud).enrol(csr(key), ID, SECRET))

    assert chain[0].public_key() == key.public_key()
    assert chain[1:] == [cloud.authority.intermediate]


def test_a_certificate_becomes_the_next_one(cloud: Cloud, key: ec.EllipticCurvePrivateKey, tmp_path: Path):
    path = enrolled(cloud, key, tmp_path)
    next_key = ec.generate_private_key(ec.SECP256R1())

    chain = x509.load_pem_x509_certificates(client(cloud, path).reenrol(csr(next_key)))

    assert chain[0].public_key() == next_key.public_key()


def test_renewal_without_a_certificate_is_refused(cloud: Cloud, key: ec.EllipticCurvePrivateKey):
    with pytest.raises(EnrolmentError, match="refuses: a certificate is needed") as raised:
        client(cloud).reenrol(csr(key))

    assert raised.value.status == 401


def test_what_a_certified_gateway_must_know_is_told(
    cloud: Cloud, key: ec.EllipticCurvePrivateKey, tmp_path: Path
):
    told = client(cloud, enrolled(cloud, key, tmp_path)).parameters()

    assert (told.gateway, told.host, told.port) == (ID, "broker.test", 8883)
    public = serialization.load_pem_public_key(told.command_keys)
    assert public == cloud.command_key.public_key()


def test_a_key_in_a_trusted_chip_passes_where_that_is_asked(
    cloud: Cloud, key: ec.EllipticCurvePrivateKey, tmp_path: Path
):
    cloud.attestation_required = True
    with pytest.raises(EnrolmentError, match="an attestation of the TPM is needed first"):
        client(cloud).enrol(csr(key), ID, SECRET)

    client(cloud).attest(Chip(), tmp_path / "key.pem", ID, SECRET)

    assert client(cloud).enrol(csr(key), ID, SECRET)


@pytest.mark.parametrize(
    ("chip", "complaint"),
    [(Chip(b"a maker of fakes"), "maker of this TPM is not trusted"), (Chip(lies=True), "answer is wrong")],
    ids=["of an unknown maker", "that lies"],
)
def test_a_chip_that_proves_nothing_is_refused(
    cloud: Cloud, key: ec.EllipticCurvePrivateKey, tmp_path: Path, chip: Chip, complaint: str
):
    with pytest.raises(EnrolmentError, match=complaint):
        client(cloud).attest(chip, tmp_path / "key.pem", ID, SECRET)


def test_an_expired_certificate_and_its_key_become_a_new_one(cloud: Cloud, key: ec.EllipticCurvePrivateKey):
    long_ago = datetime.now(UTC) - timedelta(days=60)
    old = pem(cloud.authority.issue(key.public_key(), ID, starts=long_ago))
    next_key = ec.generate_private_key(ec.SECP256R1())

    chain = x509.load_pem_x509_certificates(
        client(cloud).recover(old, csr(next_key), lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())))
    )

    assert chain[0].public_key() == next_key.public_key()


def test_an_expired_certificate_without_its_key_is_worth_nothing(
    cloud: Cloud, key: ec.EllipticCurvePrivateKey
):
    old = pem(cloud.authority.issue(key.public_key(), ID))
    thief = ec.generate_private_key(ec.SECP256R1())

    with pytest.raises(EnrolmentError, match="the old key did not sign this"):
        client(cloud).recover(old, csr(thief), lambda data: thief.sign(data, ec.ECDSA(hashes.SHA256())))


# --- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gateway_id", "secret", "complaint"),
    [(ID, "wrong" * 5, "the token is not valid"), ("hq-02", SECRET, "the token is not valid")],
)
def test_a_refusal_is_the_servers_own_line(
    cloud: Cloud, key: ec.EllipticCurvePrivateKey, gateway_id: str, secret: str, complaint: str
):
    with pytest.raises(EnrolmentError) as raised:
        client(cloud).enrol(csr(key), gateway_id, secret)

    assert str(raised.value) == f"{cloud.url} refuses: {complaint}"


def answering(
    status: int, kind: str, body: bytes, **headers: str
) -> Callable[[BaseHTTPRequestHandler], bool]:
    def answer(handler: BaseHTTPRequestHandler) -> bool:
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)
        return True

    return answer


HTML = b"<html><head><title>400 The SSL certificate error</title></head></html>"


@pytest.mark.parametrize(
    ("status", "kind", "body", "error", "line"),
    [
        (401, "text/plain", b"the token was used\nmore\n", EnrolmentError, "refuses: the token was used"),
        (403, "text/plain", b"\x1b[2Jdenied.", EnrolmentError, "refuses: ?[2Jdenied"),
        (401, "application/json", b"{}", EnrolmentError, "refuses: the token is wrong, used or expired"),
        (404, "text/html", b"<html>", EnrolmentError, "refuses: there is no enrolment at this address"),
        (400, "text/html", HTML, EnrolmentError, "refuses: 400 The SSL certificate error"),
        (413, "text/plain", b"", EnrolmentError, "refuses: what we sent is too large"),
        (418, "text/plain", b"", EnrolmentError, "refuses: status 418"),
        (302, "text/plain", b"", EnrolmentError, "is no enrolment server (status 302); check the address"),
        (500, "text/html", b"<html>", UnreachableError, "cannot do it now: status 500; try again in 7 s"),
        (503, "text/plain", b"busy", UnreachableError, "cannot do it now: busy; try again in 7 s"),
        (429, "text/plain", b"slowly", UnreachableError, "cannot do it now: slowly; try again in 7 s"),
        (202, "text/plain", b"", UnreachableError, "cannot do it now: status 202; try again in 7 s"),
        (200, "text/plain", b"hello", UnreachableError, "its answer holds no certificates"),
        (200, "text/plain", base64.b64encode(b"0\x80garbage"), UnreachableError, "holds no certificates"),
        (200, "text/plain", b"", UnreachableError, "holds no certificates"),
    ],
)
def test_every_answer_is_understood_or_one_clear_line(  # noqa: PLR0917
    cloud: Cloud, status: int, kind: str, body: bytes, error: type[IdentityError], line: str
):
    cloud.before = answering(status, kind, body, Retry_After="7")

    with pytest.raises(IdentityError) as raised:
        client(cloud).cacerts()

    assert type(raised.value) is error
    assert line in str(raised.value)
    assert str(raised.value).isprintable()


PARAMETERS = '{"gateway": "hq-01", "broker": {"host": "b", "port": 8883}, "command_keys": "%s"}'


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("no json", "is no JSON object"),
        ("[1]", "is no JSON object"),
        ("[" * 100_000, "is no JSON object"),
        ("{}", "names no broker"),
        ('{"gateway": 1, "broker": {"host": "b", "port": 1}, "command_keys": ""}', "names no broker"),
        (PARAMETERS.replace("8883", "0") % "x", "names no broker"),
        (PARAMETERS.replace("8883", "70000") % "x", "names no broker"),
        (PARAMETERS.replace("8883", "true") % "x", "names no broker"),
        (PARAMETERS.replace('"b"', '" "') % "x", "names no broker"),
        (PARAMETERS % "", "no public key"),
        (PARAMETERS % "garbage", "no public key"),
    ],
)
def test_parameters_that_cannot_be_used_are_not_used(cloud: Cloud, body: str, line: str):
    cloud.before = answering(200, "application/json", body.encode())

    with pytest.raises(UnreachableError, match=line):
        client(cloud).parameters()


@pytest.mark.parametrize("number", ["../../cmd", "", 7.5, None, "a/b", "x" * 200])
def test_an_id_of_a_challenge_never_leads_to_another_place(
    cloud: Cloud, tmp_path: Path, key: ec.EllipticCurvePrivateKey, number: object
):
    import json  # noqa: PLC0415

    body = json.dumps({"id": number, "credential_blob": "", "encrypted_secret": "", "nonce": ""})
    cloud.before = answering(200, "application/json", body.encode())

    with pytest.raises(UnreachableError, match="lacks one of id"):
        client(cloud).attest(Chip(), tmp_path / "key.pem", ID, SECRET)
    assert cloud.asked == ["POST /reed/v1/attestation"]


def test_a_certificate_for_another_key_is_not_taken_for_ours(cloud: Cloud, key: ec.EllipticCurvePrivateKey):
    other = ec.generate_private_key(ec.SECP256R1())
    told = est_cloud._pkcs7([cloud.authority.issue(other.public_key(), ID)])

    def answer(handler: BaseHTTPRequestHandler) -> bool:
        return handler.path.endswith("simpleenroll") and answering(200, "x/y", told)(handler)

    cloud.before = answer

    with pytest.raises(EnrolmentError, match="sent no certificate for our key"):
        client(cloud).enrol(csr(key), ID, SECRET)


# --- servers that are up to no good ---------------------------------------------------------------------


def drip(connection: ssl.SSLSocket) -> None:
    head(connection)
    for letter in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
        connection.sendall(bytes([letter]))
        time.sleep(0.05)


def drip_the_body(connection: ssl.SSLSocket) -> None:
    head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"y")
        time.sleep(0.05)


def endless(connection: ssl.SSLSocket) -> None:
    head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"y" * 65536)


def announce_much(connection: ssl.SSLSocket) -> None:
    head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n" + b"y" * est.MAX_BYTES * 2)


def stop_in_the_middle(connection: ssl.SSLSocket) -> None:
    head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nMIIB")


def stop_without_a_length(connection: ssl.SSLSocket) -> None:
    head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nMIIB")
    connection.shutdown(socket.SHUT_RDWR)


def another_protocol(connection: ssl.SSLSocket) -> None:
    head(connection)
    connection.sendall(b"220 mail\x1b[2J.example ESMTP\r\n")


def endless_head(connection: ssl.SSLSocket) -> None:
    head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 5000 + b"\r\n")


def hang_up(connection: ssl.SSLSocket) -> None:
    head(connection)


@pytest.mark.parametrize(
    ("serve", "line"),
    [
        (drip, "did not answer within 0.5 s"),
        (drip_the_body, "did not answer within 0.5 s"),
        (silence, "did not answer within 0.5 s"),
        (endless, f"its answer is over {est.MAX_BYTES} bytes"),
        (announce_much, f"its answer is over {est.MAX_BYTES} bytes"),
        (stop_in_the_middle, "ended the connection"),
        (stop_without_a_length, "ended the connection"),
        (another_protocol, "gives a broken answer (220 mail?[2J.example ESMTP"),
        (endless_head, "gives a broken answer (got more than 100 headers)"),
        (hang_up, "ended the connection before its answer was whole"),
    ],
)
def test_a_server_that_misbehaves_costs_bounded_time_and_memory_and_one_line(
    tmp_path: Path, serve: Callable[[ssl.SSLSocket], None], line: str
):
    issuer = Issuer(tmp_path)
    with scripted(issuer, serve) as url, pytest.raises(UnreachableError) as raised:
        EstClient(url, trusting(issuer), timeout_s=0.5 if "0.5" in line else 5.0).cacerts()

    assert line in str(raised.value)
    assert str(raised.value).startswith(url)
    assert str(raised.value).isprintable()


def test_a_port_that_never_speaks_costs_bounded_time(tmp_path: Path):
    with listening(silence) as port, pytest.raises(UnreachableError, match=r"within 0\.5 s"):
        EstClient(f"https://localhost:{port}", trusting(Issuer(tmp_path)), 0.5).cacerts()


def test_a_port_without_tls_is_said_to_be_one(tmp_path: Path):
    def mail(connection: socket.socket) -> None:
        connection.sendall(b"220 mail.example ESMTP\r\n")
        silence(connection)

    with listening(mail) as port, pytest.raises(UnreachableError, match="is it the right port"):
        EstClient(f"https://localhost:{port}", trusting(Issuer(tmp_path)), 5.0).cacerts()


def test_nobody_there_is_one_clear_line(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with pytest.raises(UnreachableError, match=r"cannot be reached .Connection refused.; try again later"):
        EstClient(f"https://127.0.0.1:{port}", trusting(Issuer(tmp_path)), 5.0).cacerts()


def test_a_name_that_does_not_exist_is_one_clear_line(tmp_path: Path):
    with pytest.raises(UnreachableError, match=r"cannot be found .*; is there a network"):
        EstClient("https://no-such-host.invalid", trusting(Issuer(tmp_path)), 5.0).cacerts()


# --- who is it? -----------------------------------------------------------------------------------------


def test_another_authority_is_refused(cloud: Cloud, tmp_path: Path):
    with pytest.raises(UnreachableError, match="is from another authority than ours; somebody may sit in"):
        EstClient(cloud.url, trusting(Issuer(tmp_path / "other")), 5.0).cacerts()


def test_another_name_is_refused(tmp_path: Path):
    issuer = Issuer(tmp_path, host="another.example")
    with (
        scripted(issuer, hang_up) as url,
        pytest.raises(UnreachableError, match="not for the name localhost"),
    ):
        EstClient(url, trusting(issuer), 5.0).cacerts()


def test_a_certificate_of_the_past_is_refused_and_the_clock_mentioned(tmp_path: Path):
    issuer = Issuer(tmp_path, now=datetime.now(UTC) - timedelta(days=90))
    with (
        scripted(issuer, hang_up) as url,
        pytest.raises(UnreachableError, match="expired; check this machine's"),
    ):
        EstClient(url, trusting(issuer), 5.0).cacerts()


def test_a_server_that_does_not_take_our_certificate_refuses_us(
    cloud: Cloud, key: ec.EllipticCurvePrivateKey, tmp_path: Path
):
    long_ago = cloud.authority.now - 40 * 24 * HOUR
    (tmp_path / "cert.pem").write_bytes(pem(cloud.authority.issue(key.public_key(), ID, starts=long_ago)))

    with pytest.raises(EnrolmentError, match=r"does not take our certificate \(alert certificate expired\)"):
        client(cloud, tmp_path / "cert.pem").parameters()


@pytest.mark.parametrize(
    ("url", "same_as"),
    [
        ("https://cloud.example", "https://cloud.example"),
        (" https://cloud.example:8443/ ", "https://cloud.example:8443"),
        ("https://cloud.example/.well-known/est/", "https://cloud.example"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("HTTPS://Cloud.Example:443", "https://cloud.example"),
    ],
)
def test_an_address_may_be_written_in_the_usual_ways(url: str, same_as: str):
    from gateway.identity.https import place  # noqa: PLC0415

    assert place(url).url == same_as


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cloud.example",
        "http://cloud.example",
        "https://",
        "https://cloud.example/other",
        "https://me:secret@cloud.example",
        "https://cloud.example:99999",
        "https://cloud.example?x=1",
        "https://a..b",
        "https://[::1",
        "https://clo\x1b[2Jud",
    ],
)
def test_what_is_no_address_is_said_to_be_none(url: str):
    with pytest.raises(EnrolmentError, match="give https://HOST or https://HOST:PORT") as raised:
        EstClient(url, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    assert str(raised.value).isprintable()


PEM_LIKE = st.sampled_from(["-----END PUBLIC KEY-----", "-----BEGIN PUBLIC KEY-----", "MFkw", "\n"])


@given(body=st.binary(max_size=300) | st.binary(max_size=300).map(base64.b64encode))
def test_any_body_is_understood_or_refused(body: bytes):
    answer = Answer("https://cloud.example", 200, body)
    for read in (answers.certificates, answers.json_object, lambda told: answers.challenge(told, "nonce")):
        with contextlib.suppress(UnreachableError):
            read(answer)


@given(pem=st.text(max_size=200) | st.lists(PEM_LIKE, max_size=12).map("".join))
def test_any_text_is_a_key_or_refused(pem: str):
    with contextlib.suppress(UnreachableError):
        answers.public_keys(Answer("https://cloud.example", 200, b""), pem)


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=300),
    kind=st.sampled_from(["text/plain", "text/html"]),
)
def test_any_refusal_is_one_line_that_cannot_act_on_a_terminal(status: int, body: bytes, kind: str):
    said = ""
    try:
        answers.demand_success(Answer("https://cloud.example", status, body, kind, body.decode("latin-1")))
    except IdentityError as error:
        said = str(error)

    assert said.isprintable()
    assert bool(said) == (status not in {200, 201, 204})
