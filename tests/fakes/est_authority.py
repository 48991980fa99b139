"""Another company's authority behind EST (RFC 7030), with root and intermediate, on the loopback."""

import base64
import http.server
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7

from cloud.ca import certificates, crl
from cloud.ca.profile import Profile
from tests.fakes.device import new_key

PASSWORD = "a-password-of-the-ra"  # noqa: S105  # of a test
Answer = tuple[int, bytes]


class EstAuthority:
    """Answers cacerts, simpleenroll and /ca.crl within `with`.

    `fault` replaces the answer to an enrolment, e.g. `lambda csr: (503, b"later")`.
    """

    def __init__(self, folder: Path) -> None:
        self.now = datetime.now(UTC)
        self._root_key, self._key = new_key(), new_key()
        self.root = certificates.root(self._root_key, "another root", self.now, 30)
        signer = (self.root, self._root_key)
        self.intermediate = certificates.intermediate(
            self._key.public_key(), "another intermediate", signer, self.now, 20
        )
        self.revoked: list[int] = []
        self.fault: Callable[[x509.CertificateSigningRequest], Answer] | None = None
        self.ca_file = folder / "another-ca.pem"
        self.ca_file.write_bytes(certificates.pem(self.root))
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD + "\n")
        self._folder = folder
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.server_port}/.well-known/est"

    @property
    def crl_url(self) -> str:
        return f"https://localhost:{self._server.server_port}/ca.crl"

    def __enter__(self) -> Self:
        key = new_key()
        cert, key_file = self._folder / "server.pem", self._folder / "server.key"
        cert.write_bytes(
            certificates.pem(self.issue(key.public_key(), "localhost", server=True), self.intermediate)
        )
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key_file)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Be away from now on; may be called again."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def issue(self, key: ec.EllipticCurvePublicKey, name: str, *, server: bool = False) -> x509.Certificate:
        """Return a certificate for a key."""
        profile = Profile(name, (name,), server, self.now - timedelta(hours=1), self.now + timedelta(days=10))
        return certificates.leaf(key, profile, (self.intermediate, self._key))

    def lists(self) -> bytes:
        """Return its CRLs (PEM)."""
        window = crl.Window(self.now - timedelta(hours=1), self.now + timedelta(days=7), 1)
        reason = x509.ReasonFlags.key_compromise
        revoked = [crl.Revoked("", serial, self.now, reason) for serial in self.revoked]
        return crl.build((self.intermediate, self._key), revoked, window) + crl.build(
            (self.root, self._root_key), [], window
        )

    def _enrol(self, authorization: str, body: bytes) -> Answer:
        if authorization != "Basic " + base64.b64encode(f"reed:{PASSWORD}".encode()).decode():
            return 401, b"who are you?"
        csr = x509.load_der_x509_csr(base64.b64decode(body))
        if self.fault is not None:
            return self.fault(csr)
        name = str(csr.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
        key = csr.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        return 200, self.packed(self.issue(key, name, server=name == "broker"))

    @staticmethod
    def packed(*found: x509.Certificate) -> bytes:
        """Return an answer's body."""
        return base64.encodebytes(pkcs7.serialize_certificates(list(found), serialization.Encoding.DER))

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        authority = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = {
                    "/.well-known/est/cacerts": authority.packed(authority.root, authority.intermediate),
                    "/ca.crl": authority.lists(),
                }
                self._send(200 if self.path in known else 404, known.get(self.path, b"not here"))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self._send(*authority._enrol(self.headers.get("Authorization", ""), body))

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
