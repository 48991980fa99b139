"""Key pairs on disk: NAME.pem (PKCS #8, encrypted) and NAME.pub (as it stands in metadata). Ed25519."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, Key, SSlibKey

from ota import files
from ota.errors import OtaError
from ota.passphrase import Passphrase

_PRIVATE = 0o600


def make(path: Path, passphrase: Passphrase | None, *, refresh: bool = False) -> Key:
    """Make a pair and return the public key.

    Args:
        path: NAME.pem; the public key goes beside it.
        passphrase: None leaves the key open, which is for tests.
        refresh: A machine uses it by itself; it gets the machine's passphrase.

    Raises:
        OtaError: There is such a file, or no good passphrase.
    """
    if path.exists():
        raise OtaError(f"{path}: is there already; a key is never replaced, choose another name")
    protection: KeySerializationEncryption = NoEncryption()
    if passphrase is not None:
        protection = BestAvailableEncryption(passphrase.new(path.name, refresh=refresh))
    private = Ed25519PrivateKey.generate()
    public = SSlibKey.from_crypto(private.public_key())
    files.write(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection), _PRIVATE)
    files.write(public_file(path), _public_text(public).encode())
    return public


def public_file(path: Path) -> Path:
    """Return where the public half of NAME.pem lies."""
    return path.with_suffix(".pub")


def read_public(path: Path) -> Key:
    """Return the key in NAME.pub. Raises OtaError."""
    try:
        said = json.loads(files.read(path))
        key = Key.from_dict(said.pop("keyid"), said)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise OtaError(f"{path}: is no public key made by `reed-ota key`") from None
    require_own_id(key, path)
    return key


def require_own_id(key: Key, path: Path) -> None:
    """Raise OtaError unless the id is the digest of the key.

    People compare ids before they sign; python-tuf takes any. Facts: securesystemslib 1.2,
    `compute_default_keyid`.
    """
    content = {"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval}
    digest = hashlib.sha256(str(encode_canonical(content)).encode()).hexdigest()
    if key.keyid != digest:
        raise OtaError(f"{path}: calls a key {key.keyid[:12]!a} that is {digest[:12]}; somebody changed it")


def signers(folders: Iterable[Path], key_ids: Iterable[str], passphrase: Passphrase) -> list[CryptoSigner]:
    """Return who can sign for these keys, of what lies in the folders. Raises OtaError."""
    wanted = set(key_ids)
    found: dict[str, CryptoSigner] = {}
    for folder in folders:
        for public in sorted(folder.glob("*.pub")):
            key = read_public(public)
            private = public.with_suffix(".pem")
            if key.keyid in wanted and key.keyid not in found and private.exists():
                found[key.keyid] = open_key(private, passphrase)
    return list(found.values())


def open_key(path: Path, passphrase: Passphrase) -> CryptoSigner:
    """Return the signer with this key. Raises OtaError: there is none, or the passphrase is wrong."""
    data = files.read(path)
    for secret in passphrase.tried(path.name) if b"ENCRYPTED" in data else (None,):
        try:
            private = load_pem_private_key(data, secret)
            return CryptoSigner(private, SSlibKey.from_crypto(private.public_key()))
        except (ValueError, TypeError):
            continue
    raise OtaError(f"{path}: the passphrase is wrong, or it is no key")


def _public_text(key: Key) -> str:
    return json.dumps({"keyid": key.keyid, **key.to_dict()}, indent=1, sort_keys=True) + "\n"
