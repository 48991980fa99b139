"""The authority's key in this machine's TPM 2.0, through tpm2-pytss (Debian 13: 2.3.0).

Imported only where the settings ask for it. The key lies wrapped in a file ("TSS2 PRIVATE KEY") that only
this TPM can use. Each signature opens the TPM anew: there are few, and nothing is left in its three slots.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from tpm2_pytss import (
    ESAPI,
    ESYS_TR,
    TPM2_ALG,
    TPM2_RH,
    TPM2_ST,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMA_OBJECT,
    TPMT_SIG_SCHEME,
    TPMT_TK_HASHCHECK,
    TSS2_Exception,
)
from tpm2_pytss.tsskey import TSSPrivKey

from cloud.ca.files import write
from cloud.ca.outside import OutsideKey, from_coordinates
from cloud.errors import SignerError

T = TypeVar("T")
Tpm: TypeAlias = Any  # tpm2-pytss has no types

PARENT = 0x81000001
"""The storage root key's persistent handle (TCG TPM v2.0 Provisioning Guidance, section 7.8)."""

_A = TPMA_OBJECT
_BOUND = _A.USERWITHAUTH | _A.NODA | _A.FIXEDTPM | _A.FIXEDPARENT | _A.SENSITIVEDATAORIGIN


class TpmKey(OutsideKey):
    """A key that only the TPM can use."""

    def __init__(self, tcti: str, pem: bytes, public_key: ec.EllipticCurvePublicKey) -> None:
        super().__init__(public_key)
        self._tcti = tcti
        self._pem = pem

    def sign_digest(self, digest: bytes) -> tuple[int, int]:
        """Return r and s, computed in the TPM."""
        return _with(self._tcti, lambda tpm: _sign(tpm, self._pem, digest))


def make_tpm_key(tcti: str, path: Path) -> TpmKey:
    """Make a P-256 key in the TPM, and write it to the file, wrapped.

    Raises:
        SignerError: The TPM is missing or refuses.
    """
    write(path, _with(tcti, _create))
    return open_tpm_key(tcti, path)


def open_tpm_key(tcti: str, path: Path) -> TpmKey:
    """Return the key of a file; the TPM is asked when it has to sign.

    Raises:
        SignerError: The file is missing or damaged.
    """
    try:
        pem = path.read_bytes()
        point = TSSPrivKey.from_pem(pem).public.publicArea.unique.ecc
    except OSError as error:
        raise SignerError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001  # tpm2-pytss names no class for damaged files
        raise SignerError(f"{path}: is no key of a TPM: {error}") from None
    return TpmKey(tcti, pem, from_coordinates(bytes(point.x), bytes(point.y)))


def _with(tcti: str, work: Callable[[Tpm], T]) -> T:
    try:
        with ESAPI(tcti) as tpm:
            return work(tpm)
    except TSS2_Exception as error:
        raise SignerError(f"the TPM ({tcti}) does not sign: {error}") from None


def _create(tpm: Tpm) -> bytes:
    _need_storage_key(tpm)
    template = TPM2B_PUBLIC.parse(
        "ecc256:ecdsa:null", nameAlg="sha256", objectAttributes=_BOUND | _A.SIGN_ENCRYPT
    ).publicArea
    template.parameters.eccDetail.scheme.scheme = TPM2_ALG.NULL
    return bytes(TSSPrivKey.create(tpm, template, parent=PARENT).to_pem())


def _sign(tpm: Tpm, pem: bytes, digest: bytes) -> tuple[int, int]:
    key = TSSPrivKey.from_pem(pem).load(tpm)
    try:
        scheme = TPMT_SIG_SCHEME(scheme=TPM2_ALG.ECDSA)
        scheme.details.any.hashAlg = TPM2_ALG.SHA256
        ticket = TPMT_TK_HASHCHECK(tag=TPM2_ST.HASHCHECK, hierarchy=TPM2_RH.NULL)
        return decode_dss_signature(bytes(tpm.sign(key, digest, scheme, ticket)))
    finally:
        tpm.flush_context(key)


def _need_storage_key(tpm: Tpm) -> None:
    """Have the storage root key at its handle; made once."""
    try:
        tpm.tr_from_tpmpublic(PARENT)
    except TSS2_Exception:
        made, *_ = tpm.create_primary(
            TPM2B_SENSITIVE_CREATE(),
            TPM2B_PUBLIC.parse("ecc256:null:aes128cfb", objectAttributes=_BOUND | _A.RESTRICTED | _A.DECRYPT),
            ESYS_TR.OWNER,
        )
        try:
            tpm.evict_control(ESYS_TR.OWNER, made, PARENT)
        finally:
            tpm.flush_context(made)
