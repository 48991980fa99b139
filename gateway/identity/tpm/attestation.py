"""Our half of the proof that a key lies in a genuine TPM; only in the child process (see `worker`).

The TPM's maker certifies its endorsement key (EK). The cloud encrypts a secret so that only a TPM with this
EK *and* our attestation key (AK) can read it; the AK then certifies the device key with the cloud's nonce.
Source: TCG EK Credential Profile 2.5; TPM 2.0 Library, part 1, 9.5 and part 3, 12.5, 18.2.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate
from tpm2_pytss import (
    ESYS_TR,
    TPM2_ALG,
    TPM2_SE,
    TPM2B_DATA,
    TPM2B_ENCRYPTED_SECRET,
    TPM2B_ID_OBJECT,
    TPM2B_PRIVATE,
    TPM2B_PUBLIC,
    TPM2B_SENSITIVE_CREATE,
    TPMA_OBJECT,
    TPMT_SIG_SCHEME,
    TPMT_SYM_DEF,
    TSS2_Exception,
)
from tpm2_pytss.utils import NoSuchIndex, NVReadEK, create_ek_template

from gateway.errors import IdentityError
from gateway.identity.tpm import device_key, faults
from gateway.identity.tpm.chip import Chip, Handle, signing_template

_EK_KINDS: Final = ("EK-ECC256", "EK-RSA2048", "EK-HIGH-ECC256", "EK-HIGH-ECC384", "EK-HIGH-RSA2048")
"""Quickest first: a chip makes an RSA key in many seconds."""

_Ek = tuple[str, bytes, TPM2B_PUBLIC]


def begin(chip: Chip, given: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return {ek_certificate, ek_public, ak_public, ak_private, key_public} of {key}."""
    key = device_key.parsed(given["key"])
    found = _certified(chip)
    with _endorsement_key(chip, found) as (_, ek_public):
        pass  # flushed before the next object is made
    template = signing_template(restricted=True)
    private, public, *_ = chip.esapi.create(chip.storage_key(), TPM2B_SENSITIVE_CREATE(), template)
    return {
        "ek_certificate": found[1],
        "ek_public": ek_public.marshal(),
        "ak_public": public.marshal(),
        "ak_private": private.marshal(),
        "key_public": key.public.marshal(),
    }


def answer(chip: Chip, given: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return {secret, attest, signature} of {key, ak_*, credential_blob, encrypted_secret, nonce}.

    Raises:
        IdentityError: The challenge is malformed, or was not made for this TPM.
    """
    try:
        blob, _ = TPM2B_ID_OBJECT.unmarshal(given["credential_blob"])
        sealed, _ = TPM2B_ENCRYPTED_SECRET.unmarshal(given["encrypted_secret"])
        nonce = TPM2B_DATA(given["nonce"])
    except (TSS2_Exception, ValueError):
        raise IdentityError("the cloud's challenge to our TPM is malformed") from None
    ak_private, _ = TPM2B_PRIVATE.unmarshal(given["ak_private"])
    ak_public, _ = TPM2B_PUBLIC.unmarshal(given["ak_public"])
    with chip.loaded(ak_private, ak_public, "the attestation key", "Try again") as ak:
        with _endorsement_key(chip, _certified(chip)) as (ek, ek_public):
            secret = _activated(chip, ak, ek, ek_public, (blob, sealed))
        with device_key.loaded(chip, given["key"]) as key:
            scheme = TPMT_SIG_SCHEME(scheme=TPM2_ALG.NULL)
            attest, signature = chip.esapi.certify(key, ak, nonce, scheme)
    return {"secret": secret, "attest": bytes(attest), "signature": signature.marshal()}


def _certified(chip: Chip) -> _Ek:
    """Return kind, certificate (DER) and template of the quickest EK that the maker has certified."""
    read = NVReadEK(chip.esapi)
    for kind in _EK_KINDS:
        try:
            certificate, template = create_ek_template(kind, read)
        except (NoSuchIndex, ValueError):  # ValueError: there is no such certificate
            continue
        if certificate:
            return kind, _without_padding(bytes(certificate)), template
    raise IdentityError("this TPM has no certificate of its maker, so it cannot prove that it is genuine")


def _without_padding(der: bytes) -> bytes:
    """Some makers fill the index up: the first SEQUENCE with a long length is the certificate."""
    if der[:2] != b"\x30\x82":
        return der
    return der[: 4 + int.from_bytes(der[2:4], "big")]


@contextmanager
def _endorsement_key(chip: Chip, found: _Ek) -> Iterator[tuple[Handle, TPM2B_PUBLIC]]:
    _, certificate, template = found
    handle, public, *_ = chip.esapi.create_primary(TPM2B_SENSITIVE_CREATE(), template, ESYS_TR.ENDORSEMENT)
    with chip.held(handle):
        wanted = load_der_x509_certificate(certificate).public_key()
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if wanted.public_bytes(*form) != public.to_der():
            raise IdentityError(
                "the TPM's maker has certified another key than this TPM has; it is not genuine"
            )
        yield handle, public


def _activated(
    chip: Chip,
    ak: Handle,
    ek: Handle,
    ek_public: TPM2B_PUBLIC,
    challenge: tuple[TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET],
) -> bytes:
    with _ek_session(chip, ek_public) as session:
        try:
            return bytes(
                chip.esapi.activate_credential(
                    ak, ek, *challenge, session1=ESYS_TR.PASSWORD, session2=session
                )
            )
        except TSS2_Exception as error:
            # failure: what libtpms says of an RSA ciphertext for another key; a chip in failure mode had said
            # so at the load of the AK
            if error.parameter or faults.base(error.rc) == faults.FAILURE:
                raise IdentityError("the cloud's challenge was not made for this TPM") from None
            raise


@contextmanager
def _ek_session(chip: Chip, ek_public: TPM2B_PUBLIC) -> Iterator[Handle]:
    """EKs of the low range are used under TCG's policy A, those of the high range by their empty password."""
    if ek_public.publicArea.objectAttributes & TPMA_OBJECT.USERWITHAUTH:
        yield ESYS_TR.PASSWORD
        return
    none = TPMT_SYM_DEF(algorithm=TPM2_ALG.NULL)
    session = chip.esapi.start_auth_session(
        ESYS_TR.NONE, ESYS_TR.NONE, TPM2_SE.POLICY, none, ek_public.publicArea.nameAlg
    )
    with chip.held(session):
        chip.esapi.policy_secret(ESYS_TR.RH_ENDORSEMENT, session, b"", b"", b"", 0, session1=ESYS_TR.PASSWORD)
        yield session
