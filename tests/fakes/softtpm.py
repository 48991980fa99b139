"""A TPM in software, as far as attestation goes: public areas, credentials, certified keys; and its makers.

Written from the side of the TPM (specification, part 1, chapters 11, 16, 24; part 2), not from our own code.
"""

import datetime as dt
import hashlib
import hmac
import struct
from dataclasses import dataclass, field, replace

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

FIXED_TPM, FIXED_PARENT, MADE_INSIDE, WITH_AUTH = 1 << 1, 1 << 4, 1 << 5, 1 << 6
RESTRICTED, DECRYPT, SIGN = 1 << 16, 1 << 17, 1 << 18
BOUND = FIXED_TPM | FIXED_PARENT | MADE_INSIDE
EK_ATTRIBUTES = BOUND | RESTRICTED | DECRYPT
AK_ATTRIBUTES = BOUND | WITH_AUTH | RESTRICTED | SIGN
KEY_ATTRIBUTES = BOUND | WITH_AUTH | SIGN
EK_CERTIFICATE = x509.ObjectIdentifier("2.23.133.8.1")
YEAR = dt.timedelta(days=365)
NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)

_NULL = struct.pack(">H", 0x10)
_ECDSA = {"sha256": struct.pack(">HH", 0x18, 0xB), "sha384": struct.pack(">HH", 0x18, 0xC)}
_ALGORITHMS = {"sha256": 0xB, "sha384": 0xC, "sha512": 0xD}
_HASHES = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}
_CURVES = {"P-256": (ec.SECP256R1(), 3), "P-384": (ec.SECP384R1(), 4)}


def sized(data: bytes) -> bytes:
    return struct.pack(">H", len(data)) + data


@dataclass(frozen=True)
class Key:
    """One key inside a TPM."""

    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    attributes: int
    scheme: bytes = _NULL
    name_algorithm: str = "sha256"
    aes_bits: int | None = None

    @property
    def public(self) -> bytes:
        """TPM2B_PUBLIC."""
        return sized(self._area())

    @property
    def name(self) -> bytes:
        digest = hashlib.new(self.name_algorithm, self._area()).digest()
        return struct.pack(">H", _ALGORITHMS[self.name_algorithm]) + digest

    @property
    def spki(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def _area(self) -> bytes:
        kind = 0x1 if isinstance(self.private, rsa.RSAPrivateKey) else 0x23
        head = struct.pack(">HHI", kind, _ALGORITHMS[self.name_algorithm], self.attributes)
        policy = hashlib.sha256(b"policy").digest() if self.aes_bits else b""
        cipher = struct.pack(">HHH", 0x6, self.aes_bits, 0x43) if self.aes_bits else _NULL
        return head + sized(policy) + cipher + self.scheme + self._numbers()

    def _numbers(self) -> bytes:
        if isinstance(self.private, rsa.RSAPrivateKey):
            numbers = self.private.public_key().public_numbers()
            size = self.private.key_size // 8
            return struct.pack(">HI", self.private.key_size, 0) + sized(numbers.n.to_bytes(size, "big"))
        point = self.private.public_key().public_numbers()
        curve, number = _CURVES["P-256" if point.curve.name == "secp256r1" else "P-384"]
        x, y = (sized(part.to_bytes(curve.key_size // 8, "big")) for part in (point.x, point.y))
        return struct.pack(">H", number) + _NULL + x + y


def private_key(curve: str = "P-256", number: int = 0) -> ec.EllipticCurvePrivateKey:
    """Return a new key, or the one with this number."""
    group = _CURVES[curve][0]
    return ec.derive_private_key(number, group) if number else ec.generate_private_key(group)


def ec_key(attributes: int, *, scheme: str = "", curve: str = "P-256", number: int = 0) -> Key:
    """Return a key as the gateway makes them: an AK has a scheme, a key for TLS none."""
    return Key(private_key(curve, number), attributes, _ECDSA.get(scheme, _NULL))


def endorsement_key(kind: str = "P-256", number: int = 0) -> Key:
    """Return an EK as the templates L-1, L-2 and H-3 of the TCG make them ("RSA", "P-256", "P-384")."""
    if kind == "RSA":
        return Key(rsa.generate_private_key(65537, 2048), EK_ATTRIBUTES, aes_bits=128)
    high = kind == "P-384"
    name = "sha384" if high else "sha256"
    return Key(private_key(kind, number), EK_ATTRIBUTES, name_algorithm=name, aes_bits=256 if high else 128)


@dataclass
class SoftTpm:
    """One TPM with an endorsement key, an attestation key and a key for TLS.

    Args:
        kind: Of the endorsement key.
        number: TPMs with the same number have the same keys; 0 is one of its own.
    """

    kind: str = "P-256"
    number: int = 0
    ek: Key = field(init=False)
    ak: Key = field(init=False)
    key: Key = field(init=False)

    def __post_init__(self) -> None:
        ek, ak, key = ((self.number * 3 + n) * bool(self.number) for n in range(3))
        self.ek = endorsement_key(self.kind, ek)
        self.ak = ec_key(AK_ATTRIBUTES, scheme="sha256", number=ak)
        self.key = ec_key(KEY_ATTRIBUTES, number=key)

    def activate(self, blob: bytes, encrypted_secret: bytes) -> bytes:
        """TPM2_ActivateCredential. Raises ValueError as a TPM would return TPM_RC_INTEGRITY."""
        algorithm, name = self.ek.name_algorithm, self.ak.name
        seed = self._seed(encrypted_secret[2:])
        (size,) = struct.unpack(">H", blob[:2])
        assert size == len(blob) - 2
        (mac_size,) = struct.unpack(">H", blob[2:4])
        mac, identity = blob[4 : 4 + mac_size], blob[4 + mac_size :]
        bits = hashlib.new(algorithm).digest_size * 8
        wanted = hmac.digest(kdfa(algorithm, seed, b"INTEGRITY", b"", bits), identity + name, algorithm)
        if not hmac.compare_digest(mac, wanted):
            raise ValueError("TPM_RC_INTEGRITY")
        key = kdfa(algorithm, seed, b"STORAGE", name, self.ek.aes_bits or 0)
        plain = _cfb_decrypted(key, identity)
        (length,) = struct.unpack(">H", plain[:2])
        return plain[2 : 2 + length]

    def _seed(self, encrypted: bytes) -> bytes:
        algorithm = self.ek.name_algorithm
        if isinstance(self.ek.private, rsa.RSAPrivateKey):
            digest = _HASHES[algorithm]
            return self.ek.private.decrypt(
                encrypted, padding.OAEP(padding.MGF1(digest), digest, b"IDENTITY\0")
            )
        curve = self.ek.private.curve
        size = curve.key_size // 8
        x, y = encrypted[2 : 2 + size], encrypted[4 + size :]
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve)
        shared = self.ek.private.exchange(ec.ECDH(), point.public_key())
        ours = self.ek.private.public_key().public_numbers().x.to_bytes(size, "big")
        return hashlib.new(algorithm, b"\0\0\0\1" + shared + b"IDENTITY\0" + x + ours).digest()

    def certify(self, nonce: bytes, key: Key | None = None, ak: Key | None = None) -> tuple[bytes, bytes]:
        """TPM2_Certify: TPMS_ATTEST and TPMT_SIGNATURE."""
        key, ak = key or self.key, ak or self.ak
        clock = struct.pack(">QIIBQ", 123_456, 3, 0, 1, 0x2019_1023_0016_3636)
        attest = struct.pack(">IH", 0xFF544347, 0x8017) + sized(ak.name) + sized(nonce) + clock
        attest += sized(key.name) + sized(b"\0\x0b" + bytes(32))
        return attest, signature(ak, attest)


def signature(ak: Key, data: bytes) -> bytes:
    """Return TPMT_SIGNATURE by an elliptic key."""
    assert isinstance(ak.private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(ak.private.sign(data, ec.ECDSA(hashes.SHA256())))
    return struct.pack(">HH", 0x18, 0xB) + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))


def kdfa(algorithm: str, key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    size = hashlib.new(algorithm).digest_size
    made = b"".join(
        hmac.digest(
            key, struct.pack(">I", n + 1) + label + b"\0" + context + struct.pack(">I", bits), algorithm
        )
        for n in range(-(-bits // 8 // size))
    )
    return made[: bits // 8]


def _cfb_decrypted(key: bytes, data: bytes) -> bytes:
    """AES in CFB mode from its definition: every block is XORed with the encryption of the one before."""
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update  # noqa: S305  # one block at a time
    before, plain = bytes(16), b""
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        plain += bytes(a ^ b for a, b in zip(part, block(before), strict=False))
        before = part
    return plain


# --- makers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Maker:
    """A maker of TPMs: one certificate authority, below another one or a root.

    Args:
        certificate: Of the authority.
        key: Its private key.
    """

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def root(cls, name: str = "Maker root", number: int = 0, **wishes: object) -> "Maker":
        key = private_key(number=number)
        return cls(_authority(name, key, x509.Name([_common(name)]), key, **wishes), key)

    def intermediate(self, name: str = "Maker TPM CA", **wishes: object) -> "Maker":
        key = private_key()
        return Maker(_authority(name, key, self.certificate.subject, self.key, **wishes), key)

    def certify(
        self,
        ek: "Key | PublicKeyTypes",
        *,
        purposes: tuple[x509.ObjectIdentifier, ...] = (EK_CERTIFICATE,),
        begins: dt.datetime = NOW - YEAR,
        ends: dt.datetime = NOW + 10 * YEAR,
        authority: bool = False,
        serial: int = 0,
    ) -> bytes:
        """Return an EK certificate (DER) as makers write them: no subject, a critical name of the TPM."""
        tpm = x509.Name([x509.NameAttribute(x509.ObjectIdentifier("2.23.133.2.1"), "id:52454544")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(ek.private.public_key() if isinstance(ek, Key) else ek)
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.SubjectAlternativeName([x509.DirectoryName(tpm)]), critical=True)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def _common(name: str) -> x509.NameAttribute:
    return x509.NameAttribute(x509.NameOID.COMMON_NAME, name)


def _authority(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    *,
    path_length: int | None = None,
    ends: dt.datetime = NOW + 20 * YEAR,
    may_sign: bool = True,
) -> x509.Certificate:
    builder = x509.CertificateBuilder(issuer, x509.Name([_common(name)]), key.public_key())
    builder = (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 5 * YEAR)
        .not_valid_after(ends)
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    usage = x509.KeyUsage(
        digital_signature=not may_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=may_sign,
        crl_sign=may_sign,
        encipher_only=False,
        decipher_only=False,
    )
    return builder.add_extension(usage, critical=True).sign(signer, hashes.SHA256())


def software_copy(key: Key) -> Key:
    """Return the same key as if it had been made outside and might leave."""
    return replace(key, attributes=key.attributes & ~BOUND)
