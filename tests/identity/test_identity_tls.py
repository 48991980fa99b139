"""TLS contexts with keys in files, against a real TLS server. Keys in a TPM: tests/tpm."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest

from gateway.cli.demo import devca
from gateway.cli.demo.devca import DevCa
from gateway.errors import IdentityError, TpmError
from gateway.identity import tls
from gateway.identity.pair import Pair

GATEWAY = "house-7"
NO_TPM = "device:/nowhere/tpmrm0"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> DevCa:
    made = devca.ensure(tmp_path_factory.mktemp("ca"), GATEWAY)
    now = datetime.now(UTC)
    made.issue("past", ["localhost"], starts=now - timedelta(days=9), ends=now - timedelta(days=8))
    return made


@pytest.fixture
def pair(ca: DevCa) -> Pair:
    return Pair("a", ca.cert_file(GATEWAY), ca.key_file(GATEWAY))


class Server:
    """Demands a client certificate and tells its common name.

    Args:
        ca: Whom it believes.
        name: Its own certificate.
    """

    def __init__(self, ca: DevCa, name: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ca.cert_file(name), ca.key_file(name))
        context.load_verify_locations(ca.ca_file)
        context.verify_mode = ssl.CERT_OPTIONAL
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                raw, _ = self._listener.accept()
                with raw, suppress(OSError), self._context.wrap_socket(raw, server_side=True) as client:
                    subject = (client.getpeercert() or {}).get("subject", ())
                    client.sendall(repr(subject).encode())

    def asked_by(self, context: ssl.SSLContext, host: str = "localhost") -> str:
        """Return what it makes of who asks. Raises ssl.SSLError."""
        with (
            socket.create_connection(self._listener.getsockname(), 5) as raw,
            context.wrap_socket(raw, server_hostname=host) as client,
        ):
            return client.recv(1000).decode()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def server(ca: DevCa) -> Iterator[Server]:
    made = Server(ca, "broker")
    yield made
    made.close()


@pytest.fixture
def expired(ca: DevCa) -> Iterator[Server]:
    """One whose certificate has ended."""
    made = Server(ca, "past")
    yield made
    made.close()


def test_we_are_known_by_our_certificate(server: Server, ca: DevCa, pair: Pair):
    assert GATEWAY in server.asked_by(tls.client_context(ca.ca_file, pair, tcti=NO_TPM))
    assert server.asked_by(tls.client_context(ca.ca_file, None, tcti=NO_TPM)) == "()"


def test_a_server_of_another_authority_or_name_is_not_believed(server: Server, ca: DevCa, tmp_path: Path):
    stranger = devca.ensure(tmp_path / "other", GATEWAY)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        server.asked_by(tls.client_context(stranger.ca_file, None, tcti=NO_TPM))
    with pytest.raises(ssl.SSLError, match="Hostname mismatch"):
        server.asked_by(tls.client_context(ca.ca_file, None, tcti=NO_TPM), "another.example")


def test_without_a_clock_everything_but_the_time_is_verified(expired: Server, ca: DevCa, tmp_path: Path):
    with pytest.raises(ssl.SSLError, match="certificate has expired"):
        expired.asked_by(tls.client_context(ca.ca_file, None, tcti=NO_TPM))
    clockless = tls.client_context(ca.ca_file, None, tcti=NO_TPM, check_time=False)
    assert expired.asked_by(clockless) == "()"
    with pytest.raises(ssl.SSLError, match="Hostname mismatch"):
        expired.asked_by(clockless, "another.example")
    stranger = devca.ensure(tmp_path / "other", GATEWAY)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        expired.asked_by(tls.client_context(stranger.ca_file, None, tcti=NO_TPM, check_time=False))


def test_without_authorities_nothing_is_verified(server: Server):
    assert server.asked_by(tls.client_context(None, None, tcti=NO_TPM), "another.example") == "()"


def test_releasing_a_context_without_a_key_in_a_tpm_does_nothing(server: Server, ca: DevCa, pair: Pair):
    context = tls.client_context(ca.ca_file, pair, tcti=NO_TPM)
    tls.release(context)
    assert GATEWAY in server.asked_by(context)


def test_whatever_is_wrong_with_a_file_is_one_clear_line(ca: DevCa, pair: Pair, tmp_path: Path):
    missing, text = tmp_path / "missing.pem", tmp_path / "text.pem"
    text.write_text("-----BEGIN PRIVATE KEY-----\nnothing\n-----END PRIVATE KEY-----\n")
    cases = (
        (missing, pair, "missing.pem: the authorities that we trust: No such file"),
        (text, pair, "text.pem: the authorities that we trust: no valid PEM"),
        (ca.ca_file, Pair("a", missing, pair.key_file), "missing.pem: our certificate: No such file"),
        (ca.ca_file, Pair("a", text, pair.key_file), "text.pem: our certificate: no valid PEM"),
        (ca.ca_file, Pair("a", pair.cert_file, missing), "missing.pem: our key cannot be read: No such file"),
        (ca.ca_file, Pair("a", pair.cert_file, text), "text.pem: the key file is damaged: enrol again"),
        (ca.ca_file, Pair("a", ca.cert_file("broker"), pair.key_file), "is not the certificate of our key"),
    )
    for ca_file, unusable, said in cases:
        with pytest.raises(IdentityError) as caught:
            tls.client_context(ca_file, unusable, tcti=NO_TPM)
        assert said in str(caught.value)


def test_a_key_in_a_tpm_on_a_machine_without_one_is_one_clear_line(ca: DevCa, pair: Pair, tmp_path: Path):
    (tmp_path / "key.pem").write_text(
        "-----BEGIN TSS2 PRIVATE KEY-----\nAA==\n-----END TSS2 PRIVATE KEY-----\n"
    )
    with pytest.raises((TpmError, IdentityError), match=r"tpm2|TPM"):
        tls.client_context(ca.ca_file, Pair("a", pair.cert_file, tmp_path / "key.pem"), tcti=NO_TPM)
