"""TPM2_Certify, the verifier's side: a TPM says of one of its keys that it holds it (part 2, 10.12)."""

import hmac
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from cloud.errors import RefusedError
from cloud.tpm.public import BOUND, Attribute, Public
from cloud.tpm.structures import Algorithm, Reader, malformed

_GENERATED: Final = 0xFF544347
"""What no restricted key signs unless the TPM itself has written the rest."""
_CERTIFY: Final = 0x8017
_CLOCK_AND_FIRMWARE_BYTES: Final = 8 + 4 + 4 + 1 + 8


def must_be_attestation_key(ak: Public) -> None:
    """Refuse a key that would sign what the TPM did not write. Raises RefusedError."""
    ak.must_be(BOUND | Attribute.RESTRICTED | Attribute.SIGN, Attribute.DECRYPT)


def must_be_bound_key(key: Public) -> None:
    """Refuse a key for TLS that may leave its TPM, or could not sign for TLS. Raises RefusedError."""
    key.must_be(BOUND | Attribute.SIGN, Attribute.RESTRICTED)


def verify(ak: Public, key: Public, attest: bytes, signature: bytes, nonce: bytes) -> None:
    """Return if `ak`'s TPM says just now that it holds `key`.

    Args:
        ak: The attestation key; that it is in a real TPM was shown by the credential.
        key: What is to be certified.
        attest: TPMS_ATTEST.
        signature: TPMT_SIGNATURE over it.
        nonce: What we asked for, used once.

    Raises:
        RefusedError: It does not say so; `reason` tells what is wrong.
    """
    must_be_attestation_key(ak)
    must_be_bound_key(key)
    _verify_signature(ak, attest, signature)
    reader = Reader(attest, "attestation")
    if reader.u32() != _GENERATED or reader.u16() != _CERTIFY:
        raise RefusedError(
            "attestation-kind", "the TPM signed something else than the certification of a key"
        )
    reader.sized()  # the signer's qualified name
    if not hmac.compare_digest(reader.sized(), nonce):
        raise RefusedError("attestation-nonce", "the TPM answered another challenge; begin again")
    reader.take(_CLOCK_AND_FIRMWARE_BYTES)
    if reader.sized() != key.name:
        raise RefusedError("attestation-other-key", "the TPM certified another key than the one named before")
    reader.sized()  # the key's qualified name
    reader.end()


def _verify_signature(ak: Public, attest: bytes, signature: bytes) -> None:
    reader = Reader(signature, "signature of the attestation")
    scheme = reader.u16()
    algorithm = reader.hash_algorithm()
    try:
        if isinstance(ak.key, ec.EllipticCurvePublicKey) and scheme == Algorithm.ECDSA:
            r, s = (int.from_bytes(reader.sized(), "big") for _ in range(2))
            ak.key.verify(encode_dss_signature(r, s), attest, ec.ECDSA(algorithm))
        elif isinstance(ak.key, rsa.RSAPublicKey) and scheme == Algorithm.RSASSA:
            ak.key.verify(reader.sized(), attest, padding.PKCS1v15(), algorithm)
        elif isinstance(ak.key, rsa.RSAPublicKey) and scheme == Algorithm.RSAPSS:
            pss = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
            ak.key.verify(reader.sized(), attest, pss, algorithm)
        else:
            raise malformed(reader.what, f"scheme {scheme:#06x} does not fit the attestation key")
    except InvalidSignature:
        raise RefusedError("attestation-signature", "the attestation key did not sign this") from None
    reader.end()
