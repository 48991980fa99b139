"""A small working authority for tests of brokers: a home with root, intermediate, certificates and CRLs."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud.home import Home

SERVICES = ("broker-admin", "ingest", "revoked-probe")
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


class Signer:
    """A key that signs, and its certificate, signed by another or by itself."""

    def __init__(self, common_name: str, above: "Signer | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        issuer = above or self
        self.subject = _name(common_name)
        self.certificate = (
            _certificate(self.subject, issuer, self.key.public_key(), 365 * _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(issuer.key, hashes.SHA256())
        )

    def crl(
        self,
        serials: list[int],
        *,
        made_at: datetime | None = None,
        valid_for: timedelta = 7 * _DAY,
        key: ec.EllipticCurvePrivateKey | None = None,
        scope: x509.IssuingDistributionPoint | None = None,
    ) -> bytes:
        """Return a CRL in PEM; another `key` makes a forged one, a `scope` one that does not speak of all."""
        made_at = made_at or datetime.now(UTC) - timedelta(seconds=2)
        builder = x509.CertificateRevocationListBuilder(self.subject, made_at, made_at + valid_for)
        for serial in serials:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(made_at)
            builder = builder.add_revoked_certificate(
                entry.add_extension(x509.CRLReason(x509.ReasonFlags.certificate_hold), critical=False).build()
            )
        if scope is not None:
            builder = builder.add_extension(scope, critical=True)
        return builder.sign(key or self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _certificate(
    subject: x509.Name, issuer: Signer, key: ec.EllipticCurvePublicKey, valid_for: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    return (
        x509.CertificateBuilder(issuer.subject, subject, key, x509.random_serial_number())
        .not_valid_before(now - _HOUR)
        .not_valid_after(now + valid_for)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(authority_key, critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """Makes a cloud's home: chain, roots, services; and certificates of gateways beside it.

    Args:
        folder: An empty folder; `home` lies in it.
    """

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.root = Signer("Test Root")
        self.signer = Signer("Test Intermediate", self.root)
        self._clients = folder / "clients"
        self._serials: dict[str, int] = {}
        self._held: set[int] = set()
        for made in (self.home.ca, self.home.services, self.home.broker, self.home.run, self._clients):
            made.mkdir(parents=True)
        root, intermediate = (
            each.certificate.public_bytes(Encoding.PEM) for each in (self.root, self.signer)
        )
        self.home.roots_file.write_bytes(root)
        self.home.chain_file.write_bytes(intermediate + root)
        for service in SERVICES:
            self._issue(service, self.home.services, ExtendedKeyUsageOID.CLIENT_AUTH)
        self._issue("broker", self.home.services, ExtendedKeyUsageOID.SERVER_AUTH)

    def files(self, common_name: str) -> tuple[Path, Path]:
        """Return certificate and key of a client, made when first asked for."""
        if common_name in SERVICES:
            return self.home.cert_file(common_name), self.home.key_file(common_name)
        if common_name not in self._serials:
            self._issue(common_name, self._clients, ExtendedKeyUsageOID.CLIENT_AUTH)
        return self._clients / f"{common_name}.pem", self._clients / f"{common_name}.key"

    def hold(self, common_name: str) -> bytes:
        """Name its certificate in the CRL from now on, and return that."""
        self.files(common_name)
        self._held.add(self._serials[common_name])
        return self.crl()

    def release(self, common_name: str) -> bytes:
        """Take its certificate out of the CRL, and return that."""
        self._held.discard(self._serials[common_name])
        return self.crl()

    def crl(self, **changes: object) -> bytes:
        """Return the CRLs of intermediate and root as they are now; `changes` go to `Signer.crl`."""
        return self.signer.crl(self.held_serials(), **changes) + self.root.crl([])  # type: ignore[arg-type]

    def held_serials(self) -> list[int]:
        """Return what the CRL of the intermediate names now; the brokers' probe is always among them."""
        return [self._serials["revoked-probe"], *sorted(self._held)]

    def _issue(self, common_name: str, folder: Path, usage: x509.ObjectIdentifier) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(common_name)]
        if usage == ExtendedKeyUsageOID.SERVER_AUTH:
            names += [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        certificate = (
            _certificate(_name(common_name), self.signer, key.public_key(), 30 * _DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self.signer.key, hashes.SHA256())
        )
        self._serials[common_name] = certificate.serial_number
        chain = (certificate, self.signer.certificate)
        pem = b"".join(each.public_bytes(Encoding.PEM) for each in chain)
        (folder / f"{common_name}.pem").write_bytes(pem)
        key_file = folder / f"{common_name}.key"
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key_file.chmod(0o600)
