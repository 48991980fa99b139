"""A conversation with the TPM; only in the child process (see `worker`).

Handles are flushed in every case: a TPM has room for three objects, and without a resource manager what is
forgotten stays. Everything here raises TSS2_Exception, or IdentityError for what no other attempt can mend.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final, Self

from tpm2_pytss import (
    ESAPI,
    ESYS_TR,
    TPM2_ALG,
    TPM2B_PRIVATE,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMA_OBJECT,
    TSS2_Exception,
)

from gateway.errors import IdentityError
from gateway.identity.tpm import faults

SRK: Final = 0x81000001
"""The persistent storage key, where TCG's provisioning guidance puts it; parent of all that is ours."""

BOUND: Final = (
    TPMA_OBJECT.USERWITHAUTH
    | TPMA_OBJECT.NODA
    | TPMA_OBJECT.FIXEDTPM
    | TPMA_OBJECT.FIXEDPARENT
    | TPMA_OBJECT.SENSITIVEDATAORIGIN
)
"""Made in this TPM, never leaves it, exempt from its lockout."""

_FOREIGN: Final = "belongs to another TPM, or this one was cleared: was the card copied?"

Handle = Any  # an ESYS_TR; tpm2_pytss has no types


class Chip:
    """One conversation, within `with`.

    Args:
        tcti: Where the TPM is.
    """

    def __init__(self, tcti: str) -> None:
        self._tcti = tcti
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.esapi = self._open.enter_context(ESAPI(self._tcti))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @contextmanager
    def held(self, handle: Handle) -> Iterator[Handle]:
        """Flush the handle at the end, whatever happens."""
        try:
            yield handle
        finally:
            with suppress(TSS2_Exception):  # the TPM has died, or a policy session was used up
                self.esapi.flush_context(handle)

    def storage_key(self) -> Handle:
        """Return the storage key, made and made persistent if it is missing."""
        try:
            return self.esapi.tr_from_tpmpublic(SRK)
        except TSS2_Exception as error:
            if faults.base(error.rc) != faults.NO_SUCH_HANDLE:
                raise
        template = TPM2B_PUBLIC.parse(
            "ecc256:null:aes128cfb", objectAttributes=BOUND | TPMA_OBJECT.RESTRICTED | TPMA_OBJECT.DECRYPT
        )
        made = self.esapi.create_primary(TPM2B_SENSITIVE_CREATE(), template, ESYS_TR.OWNER)
        with self.held(made[0]) as primary:
            return self.esapi.evict_control(ESYS_TR.OWNER, primary, SRK)

    @contextmanager
    def loaded(
        self, private: TPM2B_PRIVATE, public: TPM2B_PUBLIC, what: str, remedy: str
    ) -> Iterator[Handle]:
        """Load an object that was made under our storage key.

        Args:
            private: Its private part, as the TPM gave it.
            public: Its public part.
            what: What it is, for a message.
            remedy: What to do if it is not of this TPM.

        Raises:
            IdentityError: It was made by another TPM, or this one was cleared since.
        """
        try:
            handle = self.esapi.load(self.esapi.tr_from_tpmpublic(SRK), private, public)
        except TSS2_Exception as error:
            if faults.of_tpm(error.rc) and faults.base(error.rc) in faults.OTHER_TPM:
                raise IdentityError(f"{what} {_FOREIGN} {remedy}") from None
            raise
        with self.held(handle):
            yield handle


def signing_template(*, restricted: bool) -> TPM2B_PUBLIC:
    """Return what a P-256 signing key is made from; unrestricted, TLS chooses the hash."""
    attributes = BOUND | TPMA_OBJECT.SIGN_ENCRYPT
    if restricted:
        attributes |= TPMA_OBJECT.RESTRICTED
    template = TPM2B_PUBLIC.parse("ecc256:ecdsa-sha256:null", nameAlg="sha256", objectAttributes=attributes)
    if not restricted:
        template.publicArea.parameters.eccDetail.scheme.scheme = TPM2_ALG.NULL
    return template
