"""A small working model of the cloud's enrolment over real TLS: tokens, EST, attestation, recovery.

It keeps the rules of docs/protocol.md, section "Enrolment": a token works once (again within 10 min for the
same key), a CSR must carry the gateway's name, an id of a challenge is good for one answer.
"""

import base64
import binascii
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from gateway.identity.trust import fingerprint
from tests.fakes import maker
from tests.fakes.issuer import Issuer, der, public_pem

RETRY_S = 600.0
SECRET = "abcdefghijklmnopqrstuvwxyz"  # noqa: S105  # of a token in tests
_PKCS7 = "application/pkcs7-mime; smime-type=certs-only"


class Refused(Exception):  # noqa: N818  # never leaves the model
    def __init__(self, status: int, line: str, reason: str = "") -> None:
        super().__init__(line)
        self.status, self.line, self.reason = status, line, reason


@dataclass
class Ticket:
    """A token as the registry knows it."""

    gateway_id: str
    expires_unix_s: float = float("inf")
    used_for: bytes = b""
    used_at_unix_s: float = 0.0


@dataclass
class Cloud:
    """The registry, the authority and what was asked so far.

    Attributes:
        prover: Checks what a chip proves; has the functions of tests/fakes/maker.py.
        asked: Method and path of each request that came through TLS.
        before: Called with the handler of each request; True if it has answered itself.
        after: Called when an answer is ready; True swallows it, as a network does that breaks just then.
    """

    authority: Issuer
    tickets: dict[str, Ticket] = field(default_factory=dict)
    attestation_required: bool = False
    offers_attestation: bool = True
    denied: set[str] = field(default_factory=set)
    attested: dict[str, bytes] = field(default_factory=dict)
    issued: list[x509.Certificate] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    broker: tuple[str, int] = ("broker.test", 8883)
    command_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    extra_roots: list[x509.Certificate] = field(default_factory=list)
    prover: Any = maker
    before: Callable[[BaseHTTPRequestHandler], bool] = lambda _handler: False
    after: Callable[[str], bool] = lambda _path: False
    url: str = ""
    _challenges: dict[str, tuple[object, ...]] = field(default_factory=dict)

    def token(
        self, gateway_id: str = "hq-01", secret: str = SECRET, expires_unix_s: float = float("inf")
    ) -> str:
        self.tickets[secret] = Ticket(gateway_id, expires_unix_s)
        return f"{gateway_id}.{secret}.{fingerprint(der(self.authority.root))}"

    def now_unix_s(self) -> float:
        return datetime.now(UTC).timestamp()

    # --- what is asked ------------------------------------------------------------------------------

    def answer(self, method: str, path: str, who: "Who", body: bytes) -> tuple[int, str, bytes]:
        match (method, path.split("/")[1:]):
            case ("GET", [".well-known", "est", "cacerts"]):
                return (
                    200,
                    _PKCS7,
                    _pkcs7([self.authority.intermediate, self.authority.root, *self.extra_roots]),
                )
            case ("POST", [".well-known", "est", "simpleenroll"]):
                return 200, _PKCS7, _pkcs7([self._enrol(who, _csr(body))])
            case ("POST", [".well-known", "est", "simplereenroll"]):
                return 200, _PKCS7, _pkcs7([self._renew(who.certificate, _csr(body))])
            case ("POST", ["reed", "v1", "attestation", *rest]) if self.offers_attestation:
                return self._attest(who, rest, json.loads(body))
            case ("POST", ["reed", "v1", "recovery", *rest]):
                return self._recover(rest, json.loads(body))
            case ("GET", ["reed", "v1", "parameters"]):
                return 200, "application/json", json.dumps(self._parameters(who.certificate)).encode()
        raise Refused(404, "there is nothing here")

    def _ticket(self, who: "Who") -> tuple[str, Ticket]:
        ticket = self.tickets.get(who.secret)
        if ticket is None or ticket.gateway_id != who.gateway_id:
            raise Refused(401, "the token is not valid")
        if ticket.expires_unix_s < self.now_unix_s():
            raise Refused(401, "the token has expired; ask for a new one")
        return who.gateway_id, ticket

    def _enrol(self, who: "Who", csr: x509.CertificateSigningRequest) -> x509.Certificate:
        gateway_id, ticket = self._ticket(who)
        key = _spki(csr.public_key())
        again = ticket.used_for == key and self.now_unix_s() - ticket.used_at_unix_s < RETRY_S
        if ticket.used_for and not again:
            raise Refused(401, "the token has been used; ask for a new one")
        if gateway_id in self.denied:
            raise Refused(403, "this gateway is denied", "gateway-denied")
        self._demand_proof(gateway_id, csr)
        certificate = self._issue(gateway_id, csr)
        ticket.used_for, ticket.used_at_unix_s = key, self.now_unix_s()
        return certificate

    def _renew(
        self, certificate: x509.Certificate | None, csr: x509.CertificateSigningRequest
    ) -> x509.Certificate:
        gateway_id = self._known(certificate)
        self._demand_proof(gateway_id, csr)
        return self._issue(gateway_id, csr)

    def _demand_proof(self, gateway_id: str, csr: x509.CertificateSigningRequest) -> None:
        if self.attestation_required and self.attested.get(gateway_id) != _spki(csr.public_key()):
            raise Refused(403, "an attestation of the TPM is needed first", "attestation-missing")

    def _issue(self, gateway_id: str, csr: x509.CertificateSigningRequest) -> x509.Certificate:
        name = csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        key = csr.public_key()
        if not name or name[0].value != gateway_id:
            raise Refused(400, f"the request is not for {gateway_id}")
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise Refused(400, "the key is no P-256 key")
        self.issued.append(self.authority.issue(key, gateway_id))
        return self.issued[-1]

    def _known(self, certificate: x509.Certificate | None) -> str:
        if certificate is None:
            raise Refused(401, "a certificate is needed")
        gateway_id = str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        if gateway_id in self.denied:
            raise Refused(403, "this gateway is denied", "gateway-denied")
        return gateway_id

    def _parameters(self, certificate: x509.Certificate | None) -> dict[str, Any]:
        host, port = self.broker
        return {
            "gateway": self._known(certificate),
            "broker": {"host": host, "port": port},
            "command_keys": public_pem(self.command_key.public_key()).decode(),
            "attestation": "required" if self.attestation_required else "none",
        }

    def _attest(self, who: "Who", rest: list[str], told: dict[str, str]) -> tuple[int, str, bytes]:
        gateway_id = self._attesting(who)
        if not rest:
            number = f"a{len(self._challenges)}"
            challenge, proof = self.prover.challenge(
                {name: base64.b64decode(value) for name, value in told.items()}
            )
            if challenge is None:
                raise Refused(403, "the maker of this TPM is not trusted")
            self._challenges[number] = (gateway_id, *proof)
            return 200, "application/json", json.dumps({"id": number, **_base64(challenge)}).encode()
        owner, *proof = self._challenges.pop(rest[0], ("",))
        if owner != gateway_id:
            raise Refused(403, "there is no such challenge")
        key = self.prover.key_proven(proof, _bytes(told))
        if key is None:
            raise Refused(403, "the TPM's answer is wrong")
        self.attested[gateway_id] = key
        return 204, "text/plain", b""

    def _attesting(self, who: "Who") -> str:
        if who.recovery:
            if who.recovery not in self._challenges:
                raise Refused(403, "there is no such recovery", "recovery-unknown")
            return str(self._challenges[who.recovery][0])
        return self._known(who.certificate) if who.certificate else self._ticket(who)[0]

    def _recover(self, rest: list[str], told: dict[str, str]) -> tuple[int, str, bytes]:
        if not rest:
            certificate = x509.load_pem_x509_certificate(told["certificate"].encode())
            try:
                certificate.verify_directly_issued_by(self.authority.intermediate)
            except (ValueError, InvalidSignature):
                raise Refused(403, "the certificate is not ours") from None
            number, nonce = f"r{len(self._challenges)}", os.urandom(32)
            self._challenges[number] = (self._known(certificate), certificate.public_key(), nonce)
            body = {"id": number, **_base64({"nonce": nonce})}
            return 200, "application/json", json.dumps(body).encode()
        gateway_id, old, nonce = self._challenges.get(rest[0], ("", None, b""))
        csr_der = base64.b64decode(told["csr"])
        signed = b"reed-recovery-v1\0" + nonce + csr_der  # type: ignore[operator]
        try:
            old.verify(base64.b64decode(told["signature"]), signed, ec.ECDSA(hashes.SHA256()))  # type: ignore[attr-defined]
        except (InvalidSignature, AttributeError):
            raise Refused(403, "the old key did not sign this") from None
        csr = x509.load_der_x509_csr(csr_der)
        self._demand_proof(str(gateway_id), csr)
        self._challenges.pop(rest[0], None)
        return 200, _PKCS7, _pkcs7([self._issue(str(gateway_id), csr)])


@dataclass(frozen=True)
class Who:
    gateway_id: str
    secret: str
    certificate: x509.Certificate | None
    recovery: str = ""


def _csr(body: bytes) -> x509.CertificateSigningRequest:
    try:
        csr = x509.load_der_x509_csr(base64.b64decode(body))
    except (ValueError, binascii.Error):
        raise Refused(400, "this is no certificate request") from None
    if not csr.is_signature_valid:
        raise Refused(400, "the request is not signed by its key")
    return csr


def _pkcs7(certificates: list[x509.Certificate]) -> bytes:
    return base64.encodebytes(pkcs7.serialize_certificates(certificates, serialization.Encoding.DER))


def _spki(key: Any) -> bytes:  # noqa: ANN401  # of any kind
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _bytes(told: dict[str, str]) -> dict[str, bytes]:
    return {name: base64.b64decode(value) for name, value in told.items()}


def _base64(values: dict[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in values.items()}


class _Handler(BaseHTTPRequestHandler):
    cloud: Cloud
    timeout = 20

    def setup(self) -> None:
        try:
            self.request.do_handshake()
        except ssl.SSLError:
            # closed with something unread, the connection would be reset and the alert lost
            socket.socket.shutdown(self.request, socket.SHUT_WR)
            while socket.socket.recv(self.request, 65536):
                pass
            raise
        super().setup()

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _serve(self, body: bytes) -> None:
        self.cloud.asked.append(f"{self.command} {self.path}")
        if self.cloud.before(self):
            return
        reason = ""
        try:
            status, kind, answer = self.cloud.answer(self.command, self.path, self._who(), body)
        except Refused as refused:
            status, kind, answer = refused.status, "text/plain", refused.line.encode()
            reason = refused.reason
        if self.cloud.after(self.path):
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        if reason:
            self.send_header("Reed-Reason", reason)
        self.end_headers()
        self.wfile.write(answer)

    def _who(self) -> Who:
        scheme, _, text = self.headers.get("Authorization", "").partition(" ")
        gateway_id, _, secret = (
            base64.b64decode(text).decode().partition(":") if scheme == "Basic" else ("",) * 3
        )
        peer = self.connection.getpeercert(binary_form=True)
        certificate = x509.load_der_x509_certificate(peer) if peer else None
        return Who(gateway_id, secret, certificate, text if scheme == "Reed-Recovery" else "")

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that goes away in the middle is no news."""


@contextmanager
def served(cloud: Cloud) -> Iterator[Cloud]:
    """Serve on a free loopback port; `cloud.url` says where."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cloud.authority.server_file, cloud.authority.server_key_file)
    context.load_verify_locations(cloud.authority.chain_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"cloud": cloud}))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    cloud.url = f"https://localhost:{server.server_port}"
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def cloud(folder: Path, **options: Any) -> Cloud:  # noqa: ANN401  # attributes of Cloud
    return Cloud(Issuer(folder / "authority"), **options)
