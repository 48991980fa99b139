"""How requests are answered: with what was asked for, or with one line of text for a person."""

import functools
import logging
from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec

import msgspec
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse

from cloud.errors import BrokerError, CloudError, RefusedError, SignerError, UnknownError
from cloud.est import wire
from cloud.registry.parts import parts

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]

_LOG: Final = logging.getLogger(__name__)
_LINE_MAX_CHARS: Final = 400
_RETRY_S: Final = 60
_TOO_MANY: Final = 429
_UNAUTHORISED: Final = 401
_UNAVAILABLE: Final = 503
_WRONG_METHOD: Final = 405


def endpoint(method: str = "") -> Callable[[View[P]], View[P]]:
    """Return a decorator: every failure of the view becomes one line of text.

    Args:
        method: The only one that it answers; "" is every one.
    """

    def decorate(view: View[P]) -> View[P]:
        @functools.wraps(view)
        def answered(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if method and request.method != method:
                refusal = _line(f"use {method} here", _WRONG_METHOD, "method")
                refusal["Allow"] = method
                return refusal
            try:
                return view(request, *args, **kwargs)
            except Exception as error:  # noqa: BLE001  # every failure is told apart there, and logged if ours
                return _failure(error)

        return answered

    return decorate


def body(request: HttpRequest, media_type: str) -> bytes:
    """Return the request's body.

    Raises:
        RefusedError: It is of another type (415) or too large (413).
    """
    if request.content_type != media_type:
        raise RefusedError("media-type", f"send this as {media_type}", 415)
    data = request.read(wire.BODY_MAX_BYTES + 1)
    if len(data) > wire.BODY_MAX_BYTES:
        raise RefusedError("size", f"the body is larger than {wire.BODY_MAX_BYTES} bytes", 413)
    return bytes(data)


def sent(data: bytes, media_type: str) -> HttpResponse:
    """Return what was asked for."""
    response = HttpResponse(data, content_type=media_type)
    response["Content-Length"] = str(len(data))
    response["Cache-Control"] = "no-store"
    return response


def sent_json(message: msgspec.Struct) -> HttpResponse:
    """Return a message as JSON."""
    return sent(msgspec.json.encode(message), "application/json")


def nothing() -> HttpResponse:
    """Return that it is done."""
    return HttpResponse(status=204, headers={"Cache-Control": "no-store"})


def _failure(error: Exception) -> HttpResponse:
    match error:
        case RefusedError():
            return _line(error.detail, error.status, error.reason)
        case UnknownError():
            return _line(str(error), 404, "unknown")
        case RequestDataTooBig():
            return _line("the body is too large", 413, "size")
        case SignerError() | BrokerError() | CloudError() | DatabaseError():
            _LOG.error("enrolment cannot be served: %s", " ".join(str(error).split()))
            return _line("the cloud cannot do this now; try again in a minute", _UNAVAILABLE, "unavailable")
        case _:
            _LOG.error("enrolment failed", exc_info=error)
            return _line("the cloud failed; its log says why", 500, "failed")


def _line(text: str, status: int, reason: str) -> HttpResponse:
    line = "".join(letter if letter.isprintable() else " " for letter in text)[:_LINE_MAX_CHARS]
    response = sent(f"{line}\n".encode(errors="replace"), "text/plain; charset=utf-8")
    response.status_code = status
    response["Reed-Reason"] = reason
    if status == _UNAUTHORISED:
        response["WWW-Authenticate"] = 'Basic realm="reed"'
    if status == _TOO_MANY:
        response["Retry-After"] = str(parts().enrolment.tries_window_s)
    if status == _UNAVAILABLE:
        response["Retry-After"] = str(_RETRY_S)
    return response
