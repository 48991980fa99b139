"""The device key in the TPM: made, loaded and used; only in the child process (see `worker`)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tpm2_pytss import TPM2B_SENSITIVE_CREATE
from tpm2_pytss.cryptography import tpm_ecc_private_key
from tpm2_pytss.tsskey import TSSPrivKey

from gateway.errors import IdentityError
from gateway.identity import csr
from gateway.identity.tpm.chip import SRK, Chip, Handle, signing_template


def create(chip: Chip, _given: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return {key}: a new key (PEM, TSS2 PRIVATE KEY), under the storage key, not exportable."""
    template = signing_template(restricted=False)
    private, public, *_ = chip.esapi.create(chip.storage_key(), TPM2B_SENSITIVE_CREATE(), template)
    return {"key": TSSPrivKey(private, public, empty_auth=True, parent=SRK).to_pem()}


def request(chip: Chip, given: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return {csr} of {key, gateway_id}."""
    with _usable(chip, given["key"]) as key:
        return {"csr": csr.request(key, given["gateway_id"].decode())}


def sign(chip: Chip, given: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return {signature} of {key, data}: ECDSA with SHA-256, DER."""
    with _usable(chip, given["key"]) as key:
        return {"signature": key.sign(given["data"], ec.ECDSA(hashes.SHA256()))}


def check(chip: Chip, given: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Sign something with {key}; return {public}, its public key (DER)."""
    with _usable(chip, given["key"]) as key:
        key.sign(b"reed-check", ec.ECDSA(hashes.SHA256()))
        return {"public": key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)}


def parsed(pem: bytes) -> TSSPrivKey:
    """Return the key as the file has it.

    Raises:
        IdentityError: It is no such key, or damaged.
    """
    try:
        key = TSSPrivKey.from_pem(pem)
    except Exception:  # noqa: BLE001  # asn1crypto and tpm2-pytss raise whatever comes first
        raise IdentityError("the key file is damaged: enrol again") from None
    if key.parent != SRK or not key.empty_auth:
        raise IdentityError(f"the key was not made by reed (its parent is 0x{key.parent:x}): enrol again")
    return key


@contextmanager
def loaded(chip: Chip, pem: bytes) -> Iterator[Handle]:
    """Load the key within `with`. Raises IdentityError."""
    key = parsed(pem)
    with chip.loaded(key.private, key.public, "this key", "Enrol again") as handle:
        yield handle


@contextmanager
def _usable(chip: Chip, pem: bytes) -> Iterator[ec.EllipticCurvePrivateKey]:
    with loaded(chip, pem) as handle:
        yield tpm_ecc_private_key(chip.esapi, handle)
