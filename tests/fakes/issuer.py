"""A certificate authority with a root and an intermediate, for a model of the cloud's enrolment."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


class Issuer:
    """Issues certificates; `server_file` and `server_key_file` are those of its own server on loopback.

    Args:
        folder: For the files.
        now: When everything begins.
        host: A name that the server's certificate carries besides 127.0.0.1.
    """

    def __init__(self, folder: Path, now: datetime | None = None, host: str = "localhost") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.now = now or datetime.now(UTC)
        root_key, self._key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self.root = self._ca("test root", None, root_key.public_key(), root_key)
        self.intermediate = self._ca("test intermediate", "test root", self._key.public_key(), root_key)
        self.root_file, self.chain_file = folder / "root.pem", folder / "chain.pem"
        self.server_file, self.server_key_file = folder / "server.pem", folder / "server.key"
        self.root_file.write_bytes(pem(self.root))
        self.chain_file.write_bytes(pem(self.intermediate) + pem(self.root))
        server_key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(host), x509.IPAddress(IPv4Address("127.0.0.1"))]
        server = self.issue(server_key.public_key(), host, names=names, usage=SERVER)
        self.server_file.write_bytes(pem(server) + pem(self.intermediate))
        self.server_key_file.write_bytes(key_pem(server_key))

    def issue(
        self,
        public_key: ec.EllipticCurvePublicKey,
        name: str,
        *,
        names: list[x509.GeneralName] | None = None,
        usage: x509.ObjectIdentifier = CLIENT,
        starts: datetime | None = None,
        ends: datetime | None = None,
    ) -> x509.Certificate:
        """Return a certificate of the intermediate's, for 30 days."""
        starts = starts or self.now - HOUR
        lifetime = (starts, ends or starts + 30 * DAY)
        return (
            _builder(name, self.intermediate.subject, public_key, lifetime)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names or [x509.DNSName(name)]), critical=False)
            .add_extension(_authority_key(self._key), critical=False)
            .sign(self._key, hashes.SHA256())
        )

    def _ca(
        self,
        name: str,
        issuer: str | None,
        public_key: ec.EllipticCurvePublicKey,
        signer: ec.EllipticCurvePrivateKey,
    ) -> x509.Certificate:
        lifetime = (self.now - DAY, self.now + 3650 * DAY)
        return (
            _builder(name, _named(issuer or name), public_key, lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0 if issuer else 1), critical=True)
            .add_extension(_SIGNS, critical=True)
            .add_extension(_authority_key(signer), critical=False)
            .sign(signer, hashes.SHA256())
        )


_SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _authority_key(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _builder(
    name: str, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, lifetime: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(lifetime[0])
        .not_valid_after(lifetime[1])
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
