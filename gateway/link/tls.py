"""The TLS context of the session: who the broker must be, and who we are."""

import ssl
from pathlib import Path

from gateway.errors import LinkError
from gateway.link.config import Config


def context(config: Config) -> ssl.SSLContext:
    """Return a new context; reads three files, so call it in a thread.

    Read anew for each attempt: renewed certificates are used without a restart.

    Raises:
        LinkError: A file is missing, unreadable, or does not belong to the others.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_verify_locations(config.ca_file)
    except OSError as error:
        raise _problem(config.ca_file, "the broker's authority (link.ca_file)", error) from None
    try:
        # an empty password: OpenSSL would otherwise ask for one on the terminal
        made.load_cert_chain(config.cert_file, config.key_file, password="")
    except OSError as error:
        what = "our certificate and key (link.cert_file, link.key_file)"
        raise _problem(config.cert_file, what, error) from None
    return made


def _problem(path: Path, what: str, error: OSError) -> LinkError:
    if isinstance(error, ssl.SSLError):
        reason = "they do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "no valid PEM"
    else:
        reason = error.strerror or str(error)
    return LinkError(f"{path}: {what}: {reason}")
