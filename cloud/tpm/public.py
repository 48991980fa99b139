"""A key as its TPM describes it: TPM2B_PUBLIC (part 2, 12.2.5), and the Name that follows (part 1, 16)."""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloud.errors import RefusedError
from cloud.tpm.structures import Algorithm, Reader, malformed

_CURVES: Final[dict[int, ec.EllipticCurve]] = {3: ec.SECP256R1(), 4: ec.SECP384R1()}
_RSA_BITS: Final = (2048, 3072, 4096)
_RSA_EXPONENT: Final = 65537
_AES_BITS: Final = (128, 192, 256)


class Attribute(IntFlag):
    """TPMA_OBJECT (part 2, 8.3)."""

    FIXED_TPM = 1 << 1
    FIXED_PARENT = 1 << 4
    MADE_INSIDE = 1 << 5
    RESTRICTED = 1 << 16
    DECRYPT = 1 << 17
    SIGN = 1 << 18


BOUND: Final = Attribute.FIXED_TPM | Attribute.FIXED_PARENT | Attribute.MADE_INSIDE
"""Made in this TPM, and can leave neither it nor its parent."""


@dataclass(frozen=True, slots=True)
class Public:
    """A public area; the key is on its curve, or has a sound modulus.

    Args:
        what: For messages, e.g. "endorsement key".
        name: Hash of everything below: nobody can change it and keep the name.
        name_hash: The hash of `name`, and of what protects a credential for this key.
        attributes: TPMA_OBJECT.
        aes_bits: Key size of the cipher with which a storage key protects what it holds; None for other keys.
        key: The key itself.
    """

    what: str
    name: bytes
    name_hash: hashes.SHA256 | hashes.SHA384 | hashes.SHA512
    attributes: int
    aes_bits: int | None
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey

    @classmethod
    def read(cls, tpm2b: bytes, what: str) -> Self:
        """Return the key of a TPM2B_PUBLIC. Raises RefusedError if it is none, or of no kind that we know."""
        outer = Reader(tpm2b, what)
        area = outer.sized()
        outer.end()
        reader = Reader(area, what)
        kind = reader.u16()
        name_algorithm = area[2:4]
        name_hash = reader.hash_algorithm()
        attributes = reader.u32()
        reader.sized()  # the policy is part of the name; what it says does not matter here
        aes_bits = _aes_bits(reader)
        key = _rsa_key(reader) if kind == Algorithm.RSA else _ec_key(reader, kind)
        reader.end()
        summary = hashes.Hash(name_hash)
        summary.update(area)
        return cls(what, name_algorithm + summary.finalize(), name_hash, attributes, aes_bits, key)

    @property
    def key_der(self) -> bytes:
        """The key as SubjectPublicKeyInfo."""
        return self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def fingerprint(self) -> str:
        """Return the SHA-256 of `key_der` in hexadecimal: the same for every certificate of this key."""
        summary = hashes.Hash(hashes.SHA256())
        summary.update(self.key_der)
        return summary.finalize().hex()

    def must_be(self, has: Attribute, lacks: Attribute) -> None:
        """Refuse a key that lacks one of the first attributes, or has one of the others."""
        wrong = [f"not {part.name}" for part in Attribute if part & has & ~self.attributes]
        wrong += [str(part.name) for part in Attribute if part & lacks & self.attributes]
        if wrong:
            words = ", ".join(wrong).lower().replace("_", "-")
            raise RefusedError("attestation-key-kind", f"{self.what}: of the wrong kind ({words})")


def _aes_bits(reader: Reader) -> int | None:
    """Read a TPMT_SYM_DEF_OBJECT."""
    algorithm = reader.u16()
    if algorithm == Algorithm.NULL:
        return None
    bits, mode = reader.u16(), reader.u16()
    if algorithm != Algorithm.AES or mode != Algorithm.CFB or bits not in _AES_BITS:
        raise malformed(reader.what, "its symmetric cipher is not AES in CFB mode")
    return bits


def _skip_scheme(reader: Reader, *known: Algorithm) -> None:
    """Read a TPMT_RSA_SCHEME, TPMT_ECC_SCHEME or TPMT_KDF_SCHEME; what it says is part of the name."""
    scheme = reader.u16()
    if scheme in (Algorithm.NULL, Algorithm.RSAES):
        return
    if known and scheme not in known:
        raise malformed(reader.what, f"signature scheme {scheme:#06x} is not known here")
    reader.hash_algorithm()


def _rsa_key(reader: Reader) -> rsa.RSAPublicKey:
    _skip_scheme(reader, Algorithm.RSASSA, Algorithm.RSAPSS)
    bits = reader.u16()
    exponent = reader.u32() or _RSA_EXPONENT
    modulus = int.from_bytes(reader.sized(), "big")
    if bits not in _RSA_BITS or modulus.bit_length() != bits or exponent != _RSA_EXPONENT:
        raise malformed(reader.what, "an RSA key must have 2048, 3072 or 4096 bits and the exponent 65537")
    try:
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        raise malformed(reader.what, "not a sound RSA key") from None


def _ec_key(reader: Reader, kind: int) -> ec.EllipticCurvePublicKey:
    if kind != Algorithm.ECC:
        raise malformed(reader.what, f"key type {kind:#06x} is neither RSA nor ECC")
    _skip_scheme(reader, Algorithm.ECDSA)
    curve = _CURVES.get(reader.u16())
    _skip_scheme(reader)
    x, y = (int.from_bytes(reader.sized(), "big") for _ in range(2))
    if curve is None:
        raise malformed(reader.what, "its curve is neither P-256 nor P-384")
    try:
        return ec.EllipticCurvePublicNumbers(x, y, curve).public_key()
    except ValueError:
        raise malformed(reader.what, "its point is not on the curve") from None
