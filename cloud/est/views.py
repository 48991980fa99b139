"""EST: which certificates to trust, the first certificate, the next one (RFC 7030)."""

from typing import Final

from cryptography import x509
from django.http import HttpRequest, HttpResponse

from cloud.errors import RefusedError
from cloud.est import answers, caller, wire
from cloud.registry import services
from cloud.registry.parts import parts

_CERTIFICATES: Final = "application/pkcs7-mime; smime-type=certs-only"
_REQUEST: Final = "application/pkcs10"


@answers.endpoint("GET")
def cacerts(_request: HttpRequest) -> HttpResponse:
    """Roots and intermediates (4.1)."""
    issuer = parts().issuer
    return answers.sent(wire.certificates([*issuer.roots(), *issuer.intermediates()]), _CERTIFICATES)


@answers.endpoint("GET")
def csrattrs(_request: HttpRequest) -> HttpResponse:
    """What we want in a request (4.5)."""
    return answers.sent(wire.encoded(wire.CSR_ATTRIBUTES), "application/csrattrs")


@answers.endpoint("POST")
def simpleenroll(request: HttpRequest) -> HttpResponse:
    """A certificate for who has a one-time token (4.2.1)."""
    token = caller.token(request)
    text, peer = answers.body(request, _REQUEST), caller.peer(request)
    with services.watched("enrol", token.gateway_id, peer):
        csr_der = wire.decoded(text, "the request")
    return issued(services.enrol(token.gateway_id, token.secret, csr_der, peer=peer))


@answers.endpoint("POST")
def simplereenroll(request: HttpRequest) -> HttpResponse:
    """A certificate, for a new key as well, for who has one (4.2.2)."""
    certificate = caller.certificate(request)
    csr_der = wire.decoded(answers.body(request, _REQUEST), "the request")
    return issued(services.renew(certificate, csr_der, peer=caller.peer(request)))


def issued(chain: list[x509.Certificate]) -> HttpResponse:
    """Return the new certificate alone (4.2.3); the others come from `cacerts`."""
    return answers.sent(wire.certificates(chain[:1]), _CERTIFICATES)


@answers.endpoint()
def nowhere(_request: HttpRequest) -> HttpResponse:
    """Answer every other address below ours."""
    raise RefusedError("address", "there is nothing at this address", 404)
