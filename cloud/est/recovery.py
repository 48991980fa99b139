"""A new certificate for the holder of one that has expired; and what every holder must know."""

import base64
from typing import Final

from django.http import HttpRequest, HttpResponse

from cloud.errors import SetupError
from cloud.est import answers, caller, wire
from cloud.est.views import issued
from cloud.home import Home
from cloud.registry import services
from cloud.registry.parts import parts

JSON: Final = "application/json"


@answers.endpoint("POST")
def begin(request: HttpRequest) -> HttpResponse:
    """Return a nonce for the holder of a certificate to sign."""
    asked = wire.read(answers.body(request, JSON), wire.RecoveryBegin)
    certificate = wire.certificate_of(asked.certificate.encode(), "certificate")
    recovery = services.begin_recovery(certificate, peer=caller.peer(request))
    return answers.sent_json(wire.RecoveryChallenge(recovery.id, base64.b64encode(recovery.nonce).decode()))


@answers.endpoint("POST")
def finish(request: HttpRequest, recovery_id: str) -> HttpResponse:
    """Return a certificate for a signed nonce."""
    answer = wire.read(answers.body(request, JSON), wire.RecoveryAnswer)
    csr_der = wire.decoded(answer.csr.encode(), "csr")
    signature = wire.decoded(answer.signature.encode(), "signature")
    chain = services.finish_recovery(recovery_id, csr_der, signature, peer=caller.peer(request))
    return issued(chain)


@answers.endpoint("GET")
def parameters(request: HttpRequest) -> HttpResponse:
    """Return where the broker is, and whose commands count."""
    gateway = services.holder(caller.certificate(request))
    known = parts()
    broker = wire.Broker(known.public.broker_host or known.public.host, known.broker_port)
    return answers.sent_json(
        wire.Parameters(gateway.pk, broker, _command_keys(known.home), gateway.attestation)
    )


def _command_keys(home: Home) -> str:
    try:
        return home.command_public_file.read_text()
    except OSError as error:
        raise SetupError(f"{home.command_public_file}: cannot be read: {error.strerror}") from None
