"""Coming back after the certificate has ended, by proof that we still hold its key.

A gateway that was switched off over the winter needs no visit: the cloud believes the old certificate and a
signature by its key over a fresh number, unless the gateway was denied or has been away for too long.
"""

from gateway.errors import IdentityError
from gateway.identity.est import EstClient, Provable
from gateway.identity.keys import Keys
from gateway.identity.pair import Pair


def recover(
    client: EstClient, old: Pair, old_keys: Keys, csr_der: bytes, provable: Provable | None = None
) -> bytes:
    """Return a certificate for the key of the CSR: PEM, ours first, then intermediates.

    Args:
        client: Its context needs no certificate of ours.
        old: The expired pair.
        old_keys: Where the old key is.
        csr_der: For the new key.
        provable: That key, if a TPM can prove where it lies.

    Raises:
        EnrolmentError: The cloud refuses: denied, retired, or away for too long; a new token is needed.
        IdentityError: The old pair cannot be read or used, or the cloud cannot be reached.
    """
    try:
        certificate_pem = old.cert_file.read_bytes()
    except OSError as error:
        raise IdentityError(f"{old.cert_file}: {error.strerror or error}") from None
    return client.recover(certificate_pem, csr_der, lambda data: old_keys.sign(old.key_file, data), provable)
