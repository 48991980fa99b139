"""The TLS context of the session: who the broker must be, and who we are."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.errors import DeniedError, GatewayError, IdentityError, LinkError
from gateway.link.config import Config
from gateway.link.credentials import Access

_READ_LIMIT_S: Final = 20.0
_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL's x509_vfy.h; the ssl module has no name for it."""


class Files:
    """Credentials from the files that the configuration names, read anew for each attempt.

    Args:
        config: With all its files and the broker's name.
        clock_trusted: Whether wall time can be believed; without it the end of a certificate means nothing.
    """

    limit_s = _READ_LIMIT_S
    uses_tpm = False

    def __init__(self, config: Config, clock_trusted: Callable[[], bool] = lambda: True) -> None:
        self._config, self._clock_trusted = config, clock_trusted

    def make(self) -> Access:
        """See Credentials."""
        config, check_time = self._config, self._clock_trusted()
        made = context(config, check_time=check_time)
        return Access(host=config.host or "", port=config.port, context=made, checks_time=check_time)

    def useless(self, _error: IdentityError) -> None:
        """See Credentials."""

    def worked(self, _access: Access) -> None:
        """See Credentials."""

    def refused(self, _access: Access, _error: DeniedError) -> bool:
        """See Credentials."""
        return False

    def failed(self, _access: Access, _error: GatewayError) -> bool:
        """See Credentials."""
        return False


def context(config: Config, *, check_time: bool = True) -> ssl.SSLContext:
    """Return a new context; reads three files, so call it in a thread.

    Raises:
        LinkError: A file is missing, unreadable, or does not belong to the others.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION
    if not check_time:
        made.verify_flags |= _NO_CHECK_TIME
    ca_file, cert_file, key_file = config.ca_file, config.cert_file, config.key_file
    if ca_file is None or cert_file is None or key_file is None:
        raise LinkError("link.ca_file, link.cert_file and link.key_file are needed together")
    try:
        made.load_verify_locations(ca_file)
    except OSError as error:
        raise _problem(ca_file, "the broker's authority (link.ca_file)", error) from None
    try:
        # an empty password: OpenSSL would otherwise ask for one on the terminal
        made.load_cert_chain(cert_file, key_file, password="")
    except OSError as error:
        what = "our certificate and key (link.cert_file, link.key_file)"
        raise _problem(cert_file, what, error) from None
    return made


def _problem(path: Path, what: str, error: OSError) -> LinkError:
    if isinstance(error, ssl.SSLError):
        reason = "they do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "no valid PEM"
    else:
        reason = error.strerror or str(error)
    return LinkError(f"{path}: {what}: {reason}")
