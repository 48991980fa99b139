"""Checks of the way to the cloud: certificates, and whether the broker answers."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gateway.cli.checks.finding import Finding, fail, ok, warn
from gateway.errors import LinkError
from gateway.link import tls
from gateway.link.config import Config

_DAY_S = 86_400.0
_SOON = 0.34
"""Renewal begins when two thirds of a certificate's life are over."""

CONNECT_TIMEOUT_S = 5.0


def certificates(config: Config, now: datetime) -> list[Finding]:
    """Tell when the certificates end."""
    return [
        *_lifetime("certificate", config.cert_file, now),
        *_lifetime("broker's authority", config.ca_file, now),
    ]


def _lifetime(check: str, path: Path, now: datetime) -> Iterator[Finding]:
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
        yield warn(check, text, "renew it soon")
    else:
        yield ok(check, text)


def broker(config: Config) -> list[Finding]:
    """Connect to the broker as the gateway does, up to the end of the TLS handshake."""
    where = f"{config.host}:{config.port}"
    started_s = time.monotonic()
    try:
        with socket.create_connection((config.host, config.port), CONNECT_TIMEOUT_S) as connection:
            connection.settimeout(CONNECT_TIMEOUT_S)
            return [_handshake(config, connection, where, started_s)]
    except OSError as error:
        return [fail("broker", f"{where}: {error.strerror or error}", "check network, name and firewall")]


def _handshake(config: Config, connection: socket.socket, where: str, started_s: float) -> Finding:
    try:
        context = tls.context(config)
    except LinkError as error:
        return warn("broker", f"{where} answers, but TLS was not tried: {error}", "run doctor with sudo")
    try:
        with context.wrap_socket(connection, server_hostname=config.host) as secured:
            # In TLS 1.3 the broker's verdict on our certificate comes after the handshake, if it is bad.
            secured.settimeout(0.3)
            with contextlib.suppress(TimeoutError):
                secured.recv(1)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        return fail("broker", f"{where}: TLS failed: {reason}", "check link.ca_file and our certificate")
    return ok("broker", f"{where} answers over TLS after {(time.monotonic() - started_s) * 1000:.0f} ms")


def today() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)
