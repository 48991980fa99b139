"""The certificate request, the same for every kind of key."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID


def request(key: ec.EllipticCurvePrivateKey, gateway_id: str) -> bytes:
    """Return a PKCS#10 request (DER), signed by the key; the cloud decides on all but name and key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gateway_id)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def public_key(csr_der: bytes) -> bytes:
    """Return the public key of a request (SubjectPublicKeyInfo, DER)."""
    key = x509.load_der_x509_csr(csr_der).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
