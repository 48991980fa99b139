"""Secrets that only this TPM gives back; only in the child process (see `worker`).

The secret crosses the bus to the TPM encrypted: sessions are salted with the storage key.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tpm2_pytss import (
    ESYS_TR,
    TPM2_ALG,
    TPM2_SE,
    TPM2B_PRIVATE,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPM2B_SENSITIVE_DATA,
    TPMA_OBJECT,
    TPMA_SESSION,
    TPML_PCR_SELECTION,
    TPMS_KEYEDHASH_PARMS,
    TPMS_SENSITIVE_CREATE,
    TPMT_KEYEDHASH_SCHEME,
    TPMT_PUBLIC,
    TPMT_SYM_DEF,
    TPMU_PUBLIC_PARMS,
    TPMU_SYM_KEY_BITS,
    TPMU_SYM_MODE,
    TSS2_Exception,
)

from gateway.errors import IdentityError
from gateway.identity.tpm import faults
from gateway.identity.tpm.chip import Chip, Handle

_POLICY_FAILED = 0x9D
_PCR_CHANGED = 0x128
_NO_SYMMETRIC = TPMT_SYM_DEF(algorithm=TPM2_ALG.NULL)


def seal(chip: Chip, given: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return {public, private} of {secret, pcrs}; without PCRs any software on this machine may open it."""
    pcrs = given["pcrs"].decode()
    attributes = TPMA_OBJECT.FIXEDTPM | TPMA_OBJECT.FIXEDPARENT | TPMA_OBJECT.NODA
    template = TPMT_PUBLIC(
        type=TPM2_ALG.KEYEDHASH,
        nameAlg=TPM2_ALG.SHA256,
        objectAttributes=attributes if pcrs else attributes | TPMA_OBJECT.USERWITHAUTH,
        authPolicy=_policy_digest(chip, pcrs) if pcrs else b"",
        parameters=TPMU_PUBLIC_PARMS(
            keyedHashDetail=TPMS_KEYEDHASH_PARMS(scheme=TPMT_KEYEDHASH_SCHEME(scheme=TPM2_ALG.NULL))
        ),
    )
    secret = TPM2B_SENSITIVE_CREATE(TPMS_SENSITIVE_CREATE(data=TPM2B_SENSITIVE_DATA(given["secret"])))
    parent = chip.storage_key()
    with _encrypted(chip, parent) as session:
        private, public, *_ = chip.esapi.create(
            parent, secret, TPM2B_PUBLIC(template), session1=ESYS_TR.PASSWORD, session2=session
        )
    return {"public": public.marshal(), "private": private.marshal()}


def unseal(chip: Chip, given: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return {secret} of {public, private, pcrs}.

    Raises:
        IdentityError: Another TPM sealed it, it is damaged, or the PCRs are not as they were.
    """
    try:
        public, _ = TPM2B_PUBLIC.unmarshal(given["public"])
        private, _ = TPM2B_PRIVATE.unmarshal(given["private"])
    except (TSS2_Exception, ValueError):
        raise IdentityError("the sealed secret is damaged: set it again") from None
    pcrs = given["pcrs"].decode()
    with _opened(chip, private, public) as (handle, hidden):
        if not pcrs:
            return {"secret": bytes(chip.esapi.unseal(handle, session1=ESYS_TR.PASSWORD, session2=hidden))}
        with _policy(chip, TPM2_SE.POLICY, pcrs) as policy:
            try:
                return {"secret": bytes(chip.esapi.unseal(handle, session1=policy, session2=hidden))}
            except TSS2_Exception as error:
                if faults.base(error.rc) in (_POLICY_FAILED, _PCR_CHANGED):
                    raise IdentityError(
                        f"the machine did not start as when this was sealed (PCRs {pcrs}): set it again"
                    ) from None
                raise


@contextmanager
def _opened(chip: Chip, private: TPM2B_PRIVATE, public: TPM2B_PUBLIC) -> Iterator[tuple[Handle, Handle]]:
    """Load it, and hide what the TPM will say."""
    with (
        chip.loaded(private, public, "this secret", "Set it again") as handle,
        _encrypted(chip, chip.storage_key()) as hidden,
    ):
        yield handle, hidden


def _policy_digest(chip: Chip, pcrs: str) -> bytes:
    with _policy(chip, TPM2_SE.TRIAL, pcrs) as trial:
        return bytes(chip.esapi.policy_get_digest(trial))


@contextmanager
def _policy(chip: Chip, kind: TPM2_SE, pcrs: str) -> Iterator[Handle]:
    session = chip.esapi.start_auth_session(ESYS_TR.NONE, ESYS_TR.NONE, kind, _NO_SYMMETRIC, TPM2_ALG.SHA256)
    with chip.held(session):
        chip.esapi.policy_pcr(session, b"", TPML_PCR_SELECTION.parse(pcrs))
        yield session


@contextmanager
def _encrypted(chip: Chip, parent: Handle) -> Iterator[Handle]:
    aes = TPMT_SYM_DEF(
        algorithm=TPM2_ALG.AES, keyBits=TPMU_SYM_KEY_BITS(aes=128), mode=TPMU_SYM_MODE(aes=TPM2_ALG.CFB)
    )
    session = chip.esapi.start_auth_session(parent, ESYS_TR.NONE, TPM2_SE.HMAC, aes, TPM2_ALG.SHA256)
    with chip.held(session):
        chip.esapi.trsess_set_attributes(
            session, TPMA_SESSION.DECRYPT | TPMA_SESSION.ENCRYPT | TPMA_SESSION.CONTINUESESSION
        )
        yield session
