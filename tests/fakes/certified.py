"""A certificate of the demo's authority for a key that is not in its hands, as one in a TPM."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.cli.demo.devca import DevCa
from gateway.identity.keys import Keys
from gateway.identity.pair import Pair


def certified(key_file: Path, keys: Keys, ca: DevCa, gateway_id: str) -> Pair:
    """Have the authority certify the key of this file, by its own request."""
    request = x509.load_der_x509_csr(keys.csr(key_file, gateway_id))
    assert request.is_signature_valid
    authority = x509.load_pem_x509_certificate(ca.ca_file.read_bytes())
    signer = serialization.load_pem_private_key(ca.key_file("ca").read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(authority.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(authority.not_valid_before_utc)
        .not_valid_after(authority.not_valid_after_utc)
        .sign(signer, hashes.SHA256())
    )
    cert_file = key_file.with_name("cert.pem")
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return Pair("a", cert_file, key_file)
