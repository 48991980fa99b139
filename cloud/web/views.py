"""The pages. They run in threads; nothing here may need a login, so nothing here shows a name."""

from collections.abc import Mapping

from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from cloud.errors import CloudError, SignerError
from cloud.registry import services
from cloud.registry.parts import parts
from cloud.web import summary

_UNWELL = 503
_PLAIN = "text/plain; charset=utf-8"

_broker = summary.Kept()


@never_cache
@require_safe
def front(request: HttpRequest) -> HttpResponse:
    """Show how many gateways there are, and how broker and revocation lists are."""
    now = parts().now()
    try:
        crls, problem = summary.read_crls(parts().home), ""
    except SignerError:
        crls, problem = None, "cannot be read"
    shown = {
        "counts": _counts(),
        "warnings": _warnings(),
        "broker": _broker.stats(),
        "crls": crls,
        "crl_age": "" if crls is None else _minutes(summary.age(crls.since, now).total_seconds()),
        "crl_problem": problem or ("has ended" if crls is not None and crls.until <= now else ""),
    }
    return render(request, "web/front.html", shown)


def _warnings() -> int:
    """Return how many there are; what they say is for operators (`reed-cloud ca show`)."""
    try:
        return len(services.warnings())
    except CloudError:
        return 0


def _counts() -> Mapping[str, int]:
    """Return the gateways by state; nothing if the database does not answer."""
    try:
        return services.counts()
    except DatabaseError:
        return {}


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say "ok", or 503 and in one line what is wrong."""
    del request
    problem = _problem()
    return HttpResponse(f"{problem or 'ok'}\n", status=_UNWELL if problem else 200, content_type=_PLAIN)


def _problem() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "the database does not answer"
    try:
        crls = summary.read_crls(parts().home)
    except SignerError:
        return "the revocation list cannot be read"
    return "" if crls.until > parts().now() else "the revocation list has ended"


def _minutes(length_s: float) -> str:
    return f"{length_s / 60:.0f} min" if length_s < 2 * 3600 else f"{length_s / 3600:.0f} h"
