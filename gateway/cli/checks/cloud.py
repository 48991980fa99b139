"""Checks of the way to the cloud: certificates, and whether the broker answers."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from gateway.cli.checks.finding import Finding, fail, ok, warn
from gateway.errors import IdentityError, LinkError
from gateway.link import refusal, tls
from gateway.link.config import Config

_DAY_S = 86_400.0
_SOON = 0.34
"""Renewal begins when two thirds of a certificate's life are over."""

CONNECT_TIMEOUT_S = 5.0


def certificates(config: Config, now: datetime) -> list[Finding]:
    """Tell when the certificates that `[link]` names end."""
    named = (("certificate", config.cert_file), ("broker's authority", config.ca_file))
    return [finding for check, path in named if path is not None for finding in lifetime(check, path, now)]


def lifetime(check: str, path: Path, now: datetime, advice: str = "renew it soon") -> Iterator[Finding]:
    """Tell when a certificate ends; with `advice`, if that is soon."""
    from cryptography import x509  # noqa: PLC0415  # 10 MiB that only this needs

    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except OSError as error:
        yield warn(check, f"{path}: {error.strerror}", "run doctor with sudo; check [link]")
        return
    except (ValueError, IndexError):
        yield fail(check, f"{path}: holds no PEM certificate", "enrol again, or put the right file there")
        return
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    left_s, whole_s = (end - now).total_seconds(), (end - start).total_seconds()
    text = f"{path}: valid until {end:%Y-%m-%d}, {left_s / _DAY_S:.0f} days left"
    if now < start:
        yield fail(check, f"{path}: valid only from {start:%Y-%m-%d}", "check this machine's clock")
    elif left_s <= 0:
        yield fail(check, f"{path}: expired on {end:%Y-%m-%d}", "renew it")
    elif left_s < _SOON * whole_s:
        yield warn(check, text, advice)
    else:
        yield ok(check, text)


def broker(config: Config) -> list[Finding]:
    """Connect to the broker that `[link]` names as the gateway does."""
    return reach(config.host or "", config.port, lambda: tls.context(config))


def reach(host: str, port: int, context: Callable[[], ssl.SSLContext]) -> list[Finding]:
    """Connect to a broker, up to the end of the TLS handshake.

    Args:
        host: Its name or address.
        port: Its TCP port.
        context: Makes what the gateway uses. Raises LinkError, IdentityError.
    """
    where, started_s = f"{host}:{port}", time.monotonic()
    try:
        with socket.create_connection((host, port), CONNECT_TIMEOUT_S) as connection:
            connection.settimeout(CONNECT_TIMEOUT_S)
            try:
                made = context()
            except (LinkError, IdentityError) as error:
                text = f"{where} answers, but TLS was not tried: {error}"
                return [warn("broker", text, "run doctor with sudo")]
            return [_handshake(made, connection, host, where, started_s)]
    except OSError as error:
        return [fail("broker", f"{where}: {error.strerror or error}", "check network, name and firewall")]


def _handshake(
    context: ssl.SSLContext, connection: socket.socket, host: str, where: str, started_s: float
) -> Finding:
    try:
        with context.wrap_socket(connection, server_hostname=host) as secured:
            # In TLS 1.3 the broker's verdict on our certificate comes after the handshake, if it is bad.
            secured.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                secured.recv(1)
    except ssl.SSLError as error:
        denied, _ = refusal.by_alert(error)
        if denied:
            return fail("broker", f"{where}: {denied}", "see: reed-gateway identity; ask who runs the cloud")
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        return fail("broker", f"{where}: TLS failed: {reason}", "check link.ca_file and our certificate")
    return ok("broker", f"{where} answers over TLS after {(time.monotonic() - started_s) * 1000:.0f} ms")


def today() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)
