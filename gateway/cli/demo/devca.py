"""A certificate authority for tests and benchmarks: everything that a broker, a gateway and a cloud need.

The demo does without: there the gateway enrols, as everywhere else. This one is for where nothing but the
gateway's own tree is to be had. Never for production: its keys lie beside its certificates.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.cli.demo.credentials import Credentials

VALID_FOR = timedelta(days=365)
RENEW_BEFORE = timedelta(days=7)
_CLOCK_SKEW = timedelta(hours=1)

CLOUD_NAME = "cloud"
"""Common name, and so the user name at the broker, of the cloud's own client."""


@dataclass(frozen=True, slots=True)
class DevCa:
    """Where everything lies. `issue` makes more certificates of the same authority."""

    folder: Path
    gateway_id: str

    @property
    def ca_file(self) -> Path:
        """The authority's certificate."""
        return self.folder / "ca.pem"

    @property
    def command_key_file(self) -> Path:
        """Public command key, for the gateway."""
        return self.folder / "command.pub.pem"

    @property
    def command_private_key_file(self) -> Path:
        """Private command key, for the cloud."""
        return self.folder / "command.key.pem"

    def cert_file(self, name: str) -> Path:
        """Certificate of "broker", the cloud or a gateway."""
        return self.folder / f"{name}.pem"

    def key_file(self, name: str) -> Path:
        """The key that belongs to `cert_file`."""
        return self.folder / f"{name}.key.pem"

    @property
    def cloud(self) -> Credentials:
        """What the cloud's own client needs."""
        return Credentials(
            name=CLOUD_NAME,
            gateway_id=self.gateway_id,
            ca_file=self.ca_file,
            cert_file=self.cert_file(CLOUD_NAME),
            key_file=self.key_file(CLOUD_NAME),
            command_key_file=self.command_private_key_file,
        )

    def issue(
        self,
        name: str,
        hosts: Sequence[str] = (),
        *,
        starts: datetime | None = None,
        ends: datetime | None = None,
    ) -> None:
        """Write a new key and certificate for `name`: a server's if it has `hosts`, else a client's."""
        ca_key = serialization.load_pem_private_key(self.key_file("ca").read_bytes(), None)
        ca = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
        if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
            raise TypeError("the key of the authority is no P-256 key; remove the folder")
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _builder(name, ca.subject, key.public_key(), starts, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
            )
        )
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(_names(hosts)), critical=False)
        _write_key(self.key_file(name), key)
        _write(self.cert_file(name), _pem(builder.sign(ca_key, hashes.SHA256())))


def ensure(folder: Path, gateway_id: str, hosts: Sequence[str] = ("localhost", "127.0.0.1", "::1")) -> DevCa:
    """Make what is missing or expires soon in `folder`; what is good stays as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = DevCa(folder, gateway_id)
    if not _good(made.ca_file, made.key_file("ca")):
        _make_authority(made)
        for stale in ("broker", CLOUD_NAME, gateway_id):
            made.cert_file(stale).unlink(missing_ok=True)
    if not _good(made.cert_file("broker"), made.key_file("broker")):
        made.issue("broker", hosts)
    for client in (CLOUD_NAME, gateway_id):
        if not _good(made.cert_file(client), made.key_file(client)):
            made.issue(client)
    if not (made.command_key_file.exists() and made.command_private_key_file.exists()):
        _make_command_key(made)
    return made


def _make_authority(made: DevCa) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = "reed development CA"
    certificate = (
        _builder(name, _subject(name), key.public_key(), None, None)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_CERT_SIGN, critical=True)
        .sign(key, hashes.SHA256())
    )
    _write_key(made.key_file("ca"), key)
    _write(made.ca_file, _pem(certificate))


def _make_command_key(made: DevCa) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write_key(made.command_private_key_file, key)
    _write(made.command_key_file, public)


def _builder(
    name: str,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    starts: datetime | None,
    ends: datetime | None,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts or now - _CLOCK_SKEW)
        .not_valid_after(ends or now + VALID_FOR)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


_CERT_SIGN = x509.KeyUsage(
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


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _good(cert_file: Path, key_file: Path) -> bool:
    """Whether the pair is there, fits together and lasts a while."""
    try:
        certificate = x509.load_pem_x509_certificate(cert_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    except (OSError, ValueError):
        return False
    # not_valid_after_utc came with cryptography 42; Debian 12 has 38 and Debian 13 has 43
    ends = (
        certificate.not_valid_after.replace(tzinfo=UTC)
        if not hasattr(certificate, "not_valid_after_utc")
        else certificate.not_valid_after_utc
    )
    return certificate.public_key() == key.public_key() and ends > datetime.now(UTC) + RENEW_BEFORE


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(path, pem)


def _write(path: Path, data: bytes) -> None:
    """Replace the file in one step, readable by its owner only."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    draft.replace(path)
