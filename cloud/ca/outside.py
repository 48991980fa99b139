"""A private key that is used where it lies, in the form that cryptography's builders accept.

They take any `EllipticCurvePrivateKey` and ask it to sign (cryptography 43 to 50, tried).
"""

from abc import abstractmethod
from typing import NoReturn, Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

_COORDINATE_BYTES = 32


class OutsideKey(ec.EllipticCurvePrivateKey):
    """A P-256 key in a security module or TPM.

    Args:
        public_key: Its public half.
    """

    def __init__(self, public_key: ec.EllipticCurvePublicKey) -> None:
        self._public_key = public_key

    @abstractmethod
    def sign_digest(self, digest: bytes) -> tuple[int, int]:
        """Return r and s.

        Raises:
            SignerError: The key cannot be used now.
        """

    def sign(
        self,
        data: bytes | bytearray | memoryview,
        signature_algorithm: ec.EllipticCurveSignatureAlgorithm,
    ) -> bytes:
        """Return a signature (DER) over the data."""
        algorithm = signature_algorithm.algorithm
        if isinstance(algorithm, Prehashed):
            return encode_dss_signature(*self.sign_digest(bytes(data)))
        digest = hashes.Hash(algorithm)
        digest.update(data)
        return encode_dss_signature(*self.sign_digest(digest.finalize()))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public half."""
        return self._public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        """Return P-256."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """Return the bits of the curve."""
        return self._public_key.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """Refuse: this key signs."""
        raise NotImplementedError("this key only signs")

    def private_numbers(self) -> NoReturn:
        """Refuse: nobody knows them."""
        raise NotImplementedError("this key cannot be exported")

    def private_bytes(
        self,
        encoding: serialization.Encoding,
        format: serialization.PrivateFormat,  # noqa: A002  # cryptography's name
        encryption_algorithm: serialization.KeySerializationEncryption,
    ) -> NoReturn:
        """Refuse: nobody knows them."""
        raise NotImplementedError("this key cannot be exported")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self


def from_point(point: bytes) -> ec.EllipticCurvePublicKey:
    """Return the P-256 key of an uncompressed point (SEC 1, 65 bytes)."""
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


def from_coordinates(x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
    """Return the P-256 key with these coordinates, big-endian."""
    return from_point(b"\x04" + x.rjust(_COORDINATE_BYTES, b"\0") + y.rjust(_COORDINATE_BYTES, b"\0"))
