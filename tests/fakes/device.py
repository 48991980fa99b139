"""A gateway as the registry sees it: a key, requests signed with it, the certificate that it got."""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.registry import services

Key = ec.EllipticCurvePrivateKey


def new_key(curve: ec.EllipticCurve | None = None) -> Key:
    return ec.generate_private_key(curve or ec.SECP256R1())


def csr_der(key: Key, name: str, *more: x509.ExtensionType) -> bytes:
    """Return a request; `more` are extensions that it asks for."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def public_der(key: Key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@dataclass
class Device:
    """One gateway with its own key."""

    name: str
    key: Key = field(default_factory=new_key)
    chain: list[x509.Certificate] = field(default_factory=list)
    secret: str = ""

    @property
    def certificate(self) -> x509.Certificate:
        return self.chain[0]

    def expected(self, attestation: str = "none") -> "Device":
        """Be expected, and get a token."""
        services.expect(self.name, site="Tower", attestation=attestation, actor="cli:test")
        return self.with_token()

    def with_token(self) -> "Device":
        self.secret = services.new_token(self.name, actor="cli:test").split(".")[1]
        return self

    def enrol(self, peer: str = "192.0.2.7") -> x509.Certificate:
        self.chain = services.enrol(self.name, self.secret, csr_der(self.key, self.name), peer=peer)
        return self.certificate

    def renew(self, key: Key | None = None) -> x509.Certificate:
        """Get a certificate for a new key by the old certificate."""
        new = key or new_key()
        self.chain = services.renew(self.certificate, csr_der(new, self.name), peer="192.0.2.7")
        self.key = new
        return self.certificate

    def recover(self, key: Key | None = None) -> x509.Certificate:
        """Get one by proof of possession."""
        new = key or new_key()
        begun = services.begin_recovery(self.certificate, peer="192.0.2.7")
        request = csr_der(new, self.name)
        signed = b"reed-recovery-v1\0" + begun.nonce + request
        signature = self.key.sign(signed, ec.ECDSA(hashes.SHA256()))
        self.chain = services.finish_recovery(begun.id, request, signature, peer="192.0.2.7")
        self.key = new
        return self.certificate


def enrolled(name: str) -> Device:
    """Return a gateway that was expected and has enrolled."""
    device = Device(name).expected()
    device.enrol()
    return device
