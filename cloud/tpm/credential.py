"""TPM2_MakeCredential without a TPM: a secret that only one TPM can open, and only for one key (part 1, 24).

The TPM opens it with its endorsement key, and only if it holds the key with the given Name.
"""

import os
from typing import Final, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.hmac import HMAC

from cloud.tpm.public import Attribute, Public
from cloud.tpm.structures import malformed, sized

try:
    from cryptography.hazmat.decrepit.ciphers.modes import CFB
except ImportError:  # before 45 it was not called decrepit
    from cryptography.hazmat.primitives.ciphers.modes import CFB

_Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
_IDENTITY: Final = b"IDENTITY\0"
_NO_IV: Final = bytes(16)


class Credential(NamedTuple):
    """What goes to the TPM for TPM2_ActivateCredential."""

    blob: bytes
    """TPM2B_ID_OBJECT."""
    encrypted_secret: bytes
    """TPM2B_ENCRYPTED_SECRET."""


def make_credential(ek: Public, secret: bytes, name: bytes) -> Credential:
    """Return `secret` so that only the TPM with this endorsement key and with the key `name` opens it.

    Raises:
        RefusedError: The endorsement key is not one that decrypts for its TPM only.
    """
    ek.must_be(
        Attribute.FIXED_TPM | Attribute.FIXED_PARENT | Attribute.RESTRICTED | Attribute.DECRYPT,
        Attribute.SIGN,
    )
    if ek.aes_bits is None:
        raise malformed(ek.what, "an endorsement key names a symmetric cipher")
    seed, encrypted = _seed(ek)
    key = _kdfa(ek.name_hash, seed, b"STORAGE", name, ek.aes_bits)
    encryptor = Cipher(algorithms.AES(key), CFB(_NO_IV)).encryptor()
    identity = encryptor.update(sized(secret)) + encryptor.finalize()
    integrity = HMAC(_kdfa(ek.name_hash, seed, b"INTEGRITY", b"", ek.name_hash.digest_size * 8), ek.name_hash)
    integrity.update(identity + name)
    return Credential(sized(sized(integrity.finalize()) + identity), sized(encrypted))


def _seed(ek: Public) -> tuple[bytes, bytes]:
    """Return a fresh seed, and what only the endorsement key turns into it (part 1, B.10.4 and C.6.4)."""
    algorithm = ek.name_hash
    if isinstance(ek.key, rsa.RSAPublicKey):
        seed = os.urandom(algorithm.digest_size)
        return seed, ek.key.encrypt(seed, padding.OAEP(padding.MGF1(algorithm), algorithm, _IDENTITY))
    ours = ec.generate_private_key(ek.key.curve)
    shared = ours.exchange(ec.ECDH(), ek.key)
    size_bytes = (ek.key.curve.key_size + 7) // 8
    point, theirs = ours.public_key().public_numbers(), ek.key.public_numbers()
    x, y, their_x = (number.to_bytes(size_bytes, "big") for number in (point.x, point.y, theirs.x))
    return _kdfe(algorithm, shared, x, their_x), sized(x) + sized(y)


def _kdfa(algorithm: _Hash, key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """KDFa (part 1, 11.4.10.2): SP 800-108 in counter mode with HMAC."""
    made = b""
    for counter in range(1, -(-bits // (algorithm.digest_size * 8)) + 1):
        mac = HMAC(key, algorithm)
        mac.update(counter.to_bytes(4, "big") + label + b"\0" + context + bits.to_bytes(4, "big"))
        made += mac.finalize()
    return made[: bits // 8]


def _kdfe(algorithm: _Hash, shared: bytes, our_x: bytes, their_x: bytes) -> bytes:
    """KDFe (part 1, 11.4.10.3) for "IDENTITY": one block is as much as is asked."""
    summary = hashes.Hash(algorithm)
    summary.update((1).to_bytes(4, "big") + shared + _IDENTITY + our_x + their_x)
    return summary.finalize()
