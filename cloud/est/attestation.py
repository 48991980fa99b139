"""Proof that a key lies in a TPM, before it is certified: challenge, answer, and what is remembered between.

The order of proof: a maker's certificate names the endorsement key; only its TPM opens the credential, and
only if the attestation key is in it; that key signs what the TPM says of the key to be certified.
"""

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from cloud.errors import RefusedError
from cloud.est import answers, caller, wire
from cloud.est.models import Challenge
from cloud.registry import services
from cloud.registry.parts import parts
from cloud.tpm import certify
from cloud.tpm.credential import make_credential
from cloud.tpm.endorsement import Makers
from cloud.tpm.public import Public

_JSON: Final = "application/json"
_SECRET_BYTES: Final = 32
_NONCE_BYTES: Final = 32
_KEY: Final = "key that is to be certified"
_AK: Final = "attestation key"


class _Right(NamedTuple):
    """By which right a gateway may have a key certified, once that is proven.

    Only a token `binds` a TPM to the gateway; with a certificate, or an old one (`recovery`), it is the one
    that is bound already.
    """

    gateway_id: str
    binds: bool = False
    recovery: str = ""


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a TPM says of itself: a maker vouches for `ek`; nothing else is proven yet."""

    ek: Public
    ak: Public
    ak_public: bytes
    key_public: bytes


@answers.endpoint("POST")
def begin(request: HttpRequest) -> HttpResponse:
    """Return what only this TPM can answer."""
    peer = caller.peer(request)
    right = _right(request, peer)
    with _refusals(right.gateway_id, peer):
        claim = _claim(wire.read(answers.body(request, _JSON), wire.AttestationBegin))
    services.check_ek(right.gateway_id, claim.ek.fingerprint(), binds=right.binds, peer=peer)
    return answers.sent_json(_challenge(right, claim))


@answers.endpoint("POST")
def finish(request: HttpRequest, challenge_id: str) -> HttpResponse:
    """Note the key as attested if the TPM has answered."""
    peer = caller.peer(request)
    right = _right(request, peer)
    with _refusals(right.gateway_id, peer):
        answer = wire.read(answers.body(request, _JSON), wire.AttestationAnswer)
        challenge = _take(challenge_id, right)
        key = _proven(challenge, answer)
    services.note_attested(
        right.gateway_id, challenge.ek_fingerprint, key.key_der, binds=right.binds, peer=peer
    )
    return answers.nothing()


def _right(request: HttpRequest, peer: str) -> _Right:
    """Return who asks. Raises RefusedError if he could have nothing certified anyway."""
    if recovery := caller.recovery(request):
        return _Right(services.check_recovery(recovery, peer=peer).pk, recovery=recovery)
    if caller.has_only_certificate(request):
        return _Right(services.check_renewal(caller.certificate(request), peer=peer).pk)
    token = caller.token(request)
    return _Right(services.check_token(token.gateway_id, token.secret, peer=peer).pk, binds=True)


@contextmanager
def _refusals(gateway_id: str, peer: str) -> Iterator[None]:
    """Record in the audit trail what is refused within."""
    try:
        yield
    except RefusedError as error:
        services.note_refused(gateway_id, "attest", error, peer=peer)
        raise


def _claim(said: wire.AttestationBegin) -> _Claim:
    """Return what was said, as far as it can be true. Raises RefusedError."""
    ek = Public.read(wire.decoded(said.ek_public.encode(), "ek_public"), "endorsement key")
    ak_public = wire.decoded(said.ak_public.encode(), "ak_public")
    key_public = wire.decoded(said.key_public.encode(), "key_public")
    ak = Public.read(ak_public, _AK)
    certify.must_be_attestation_key(ak)
    certify.must_be_bound_key(Public.read(key_public, _KEY))
    certificate = wire.decoded(said.ek_certificate.encode(), "ek_certificate")
    Makers.load(parts().home.ek_roots).vouch(certificate, ek, parts().now())
    return _Claim(ek, ak, ak_public, key_public)


def _challenge(right: _Right, claim: _Claim) -> wire.AttestationChallenge:
    secret, nonce = secrets.token_bytes(_SECRET_BYTES), secrets.token_bytes(_NONCE_BYTES)
    credential = make_credential(claim.ek, secret, claim.ak.name)
    challenge = Challenge(
        id=secrets.token_hex(16),
        gateway_id=right.gateway_id,
        recovery=right.recovery,
        secret_hash=hashlib.sha256(secret).hexdigest(),
        nonce=nonce,
        ak_public=claim.ak_public,
        key_public=claim.key_public,
        ek_fingerprint=claim.ek.fingerprint(),
        expires_at=parts().now() + timedelta(seconds=parts().enrolment.attestation_valid_s),
    )
    _keep(challenge)
    blob, encrypted, nonce_text = (b64encode(part).decode() for part in (*credential, nonce))
    return wire.AttestationChallenge(challenge.id, blob, encrypted, nonce_text)


def _keep(challenge: Challenge) -> None:
    """Put it in the place of the gateway's former one; what nobody answered in time goes, too."""
    with transaction.atomic():
        Challenge.objects.filter(gateway_id=challenge.gateway_id, recovery=challenge.recovery).delete()
        Challenge.objects.filter(expires_at__lt=parts().now()).delete()
        challenge.save(force_insert=True)


def _take(challenge_id: str, right: _Right) -> Challenge:
    """Return the challenge, which is used up now, whatever the answer is worth. Raises RefusedError."""
    found = Challenge.objects.filter(id=challenge_id, gateway_id=right.gateway_id, recovery=right.recovery)
    challenge = found.first()
    deleted, _ = found.delete()
    if challenge is None or not deleted or challenge.expires_at < parts().now():
        raise RefusedError(
            "attestation-unknown", "this challenge was answered before, or too late; begin again"
        )
    return challenge


def _proven(challenge: Challenge, answer: wire.AttestationAnswer) -> Public:
    """Return the key that the TPM holds. Raises RefusedError if it has not shown that it does."""
    secret = hashlib.sha256(wire.decoded(answer.secret.encode(), "secret")).hexdigest()
    if not hmac.compare_digest(secret, challenge.secret_hash):
        raise RefusedError("attestation-secret", "this is not the TPM that the certificate is for")
    key = Public.read(bytes(challenge.key_public), _KEY)
    attest = wire.decoded(answer.attest.encode(), "attest")
    signature = wire.decoded(answer.signature.encode(), "signature")
    ak = Public.read(bytes(challenge.ak_public), _AK)
    certify.verify(ak, key, attest, signature, bytes(challenge.nonce))
    return key
