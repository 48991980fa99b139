"""A whole cloud for enrolment: home, authority, registry, web behind nginx; and a gateway's keys."""

import base64
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
)
from psycopg import sql

from cloud.home import Home
from cloud.project.setup import migrate, prepare, start
from cloud.registry.parts import parts
from tests.cloud.front import Answer, Front, Pair
from tests.fakes.broker_admin import ModelBroker

PASSPHRASE = "correct horse battery staple"  # noqa: S105
SERVERS = ("broker", "web")
CLIENTS = ("ingest", "broker-admin", "revoked-probe")
CSR, JSON = "application/pkcs10", "application/json"
EST, REED = "/.well-known/est", "/reed/v1"


_numbers = itertools.count(1)


def new_database() -> str:
    """Return the settings of a new database where tests/cloud/conftest.py makes them; SQLite needs none."""
    url = os.environ.get("REED_TEST_DATABASE_URL", "")
    if not url:
        return ""
    name = f"reed_enrolment_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return f'[database]\nurl = "{urlsplit(url)._replace(path=f"/{name}").geturl()}"\n'


class Rig:
    """One cloud. Here in this process one administers it; the web application is another process.

    Args:
        folder: Empty, with a short path.
    """

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.broker = ModelBroker()
        self._keys = folder / "keys"
        self._keys.mkdir(parents=True)
        prepare(self.home, new_database())
        self.take_over()
        migrate()
        from cloud.registry import services  # noqa: PLC0415  # Django must have been set up

        self.services = services
        services.create_root(PASSPHRASE, actor="test")
        services.create_intermediate(PASSPHRASE, actor="test", at_once=True)
        hosts = ("localhost", "127.0.0.1")
        wanted = dict.fromkeys(SERVERS, hosts) | dict.fromkeys(CLIENTS, ())
        services.ensure_services(wanted, actor="test")
        services.publish_crl()
        self.home.command_public_file.write_bytes(_public_pem(ec.generate_private_key(ec.SECP256R1())))
        self.front = Front(self.home, "cloud.project.asgi:application")

    def take_over(self) -> None:
        """Make this process work on our home."""
        start(self.home)
        parts().open_broker = lambda: self.broker

    @contextmanager
    def ago(self, past: timedelta) -> Iterator[None]:
        """Let it be earlier in this process."""
        clock = parts().now
        parts().now = lambda: clock() - past
        try:
            yield
        finally:
            parts().now = clock

    def expect(self, gateway_id: str, *, attestation: str = "none") -> "Gateway":
        """Return a gateway with a token."""
        self.services.expect(gateway_id, site="Town hall", attestation=attestation, actor="test")
        _, secret, _ = self.services.new_token(gateway_id, actor="test").split(".")
        return Gateway(self, gateway_id, secret)

    def fresh(self) -> "Gateway":
        """Return a gateway with a token and a name of its own."""
        return self.expect(f"fresh-{next(_numbers)}")

    def enrolled(self, gateway_id: str, past: timedelta = timedelta(0)) -> "Gateway":
        """Return a gateway that was certified some time ago."""
        with self.ago(past):
            gateway = self.expect(gateway_id)
            chain = self.services.enrol(gateway_id, gateway.secret, gateway.csr(), peer="test")
        gateway.certificate = chain[0]
        return gateway

    def refusals(self, gateway_id: str) -> list[str]:
        """Return the reasons why this gateway was refused, the latest first."""
        found = self.services.audit_entries(subject=gateway_id)
        return [entry.reason for entry in found if entry.outcome == "refused"]

    def write(self, name: str, data: bytes) -> Path:
        """Keep a client's file."""
        path = self._keys / name
        path.write_bytes(data)
        return path


@dataclass
class Gateway:
    """What a gateway has and does."""

    rig: Rig
    id: str
    secret: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    certificate: x509.Certificate | None = None

    def csr(self, key: ec.EllipticCurvePrivateKey | None = None, name: str = "") -> bytes:
        """Return a request (DER) for our key and name, unless others are given."""
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name or self.id)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        return builder.sign(key or self.key, hashes.SHA256()).public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        assert self.certificate
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def pair(self) -> Pair:
        """Certificate (with the intermediates) and key as files."""
        chain = self.pem.encode() + self.rig.home.chain_file.read_bytes()
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.rig.write(f"{self.id}.pem", chain), self.rig.write(f"{self.id}.key", key)

    def enrol(self, csr: bytes | None = None, secret: str | None = None) -> Answer:
        headers = {"Content-Type": CSR, **self.basic(secret)}
        body = base64.encodebytes(self.csr() if csr is None else csr)
        return self.rig.front.ask("POST", f"{EST}/simpleenroll", body, headers)

    def reenrol(self, csr: bytes, pair: Pair | None = None) -> Answer:
        headers = {"Content-Type": CSR}
        body = base64.encodebytes(csr)
        return self.rig.front.ask("POST", f"{EST}/simplereenroll", body, headers, pair=pair or self.pair)

    def post(
        self,
        path: str,
        message: dict[str, str | bytes],
        *,
        basic: bool = False,
        recovery: str = "",
        pair: Pair | None = None,
    ) -> Answer:
        """Send JSON to one of our own addresses; bytes become base64."""
        texts = {k: v if isinstance(v, str) else base64.b64encode(v).decode() for k, v in message.items()}
        headers = {"Content-Type": JSON, **(self.basic() if basic else {})}
        if recovery:
            headers["Authorization"] = f"Reed-Recovery {recovery}"
        return self.rig.front.ask("POST", f"{REED}/{path}", json.dumps(texts).encode(), headers, pair=pair)

    def basic(self, secret: str | None = None) -> dict[str, str]:
        pair = f"{self.id}:{self.secret if secret is None else secret}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def recover(self, key: ec.EllipticCurvePrivateKey | None = None) -> tuple[dict[str, bytes], bytes, str]:
        """Ask for a nonce; return what answers it for a new key, that key's request, and the id."""
        begun = json.loads(self.post("recovery", {"certificate": self.pem}).body)
        csr = self.csr(ec.generate_private_key(ec.SECP256R1()))
        signed = b"reed-recovery-v1\0" + base64.b64decode(begun["nonce"]) + csr
        signature = (key or self.key).sign(signed, ec.ECDSA(hashes.SHA256()))
        return {"csr": csr, "signature": signature}, csr, begun["id"]


def certificates(answer: Answer) -> list[x509.Certificate]:
    """Return the certificates of a good answer."""
    assert answer.status == 200, answer.body
    assert answer.headers.get_content_type() == "application/pkcs7-mime"
    return list(pkcs7.load_der_pkcs7_certificates(base64.b64decode(answer.body)))


def certified(answer: Answer, csr: bytes) -> x509.Certificate:
    """Return the only certificate of the answer, which is for the request's key."""
    (certificate,) = certificates(answer)
    assert certificate.public_key() == x509.load_der_x509_csr(csr).public_key()
    return certificate


def refused(answer: Answer, status: int, reason: str) -> str:
    """Return the line of a refusal."""
    assert (answer.status, answer.headers["Reed-Reason"]) == (status, reason), answer.body
    return answer.line


def _public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
