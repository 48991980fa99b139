"""TLS contexts of a gateway: whom we trust, and who we are.

A context with a key in the TPM is made, used for its handshake and released in a thread: each of these waits
for the TPM, which may hang. `release` it when its handshakes are over; see `tpm.armed` for why.
"""

import ssl
import sys
from pathlib import Path
from typing import Final

from gateway.errors import IdentityError
from gateway.identity.keys import in_tpm
from gateway.identity.pair import Pair

_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of openssl/x509_vfy.h


def client_context(
    ca_file: Path | None, pair: Pair | None, *, tcti: str, check_time: bool = True
) -> ssl.SSLContext:
    """Return a new context. Blocks for files, and for the TPM if our key is there.

    Args:
        ca_file: PEM; whom we trust. None verifies nothing: only to fetch what is checked against a pin.
        pair: Our certificate and key; None offers none.
        tcti: Where the TPM is; touched only if the key is there.
        check_time: False while the clock is wrong: everything is verified but dates (ADR 14).

    Raises:
        TpmError: The TPM is missing, hangs or refuses.
        IdentityError: A file is missing or damaged, or they do not belong together.
    """
    made = _verifying(ca_file)
    if not check_time:
        made.verify_flags |= _NO_CHECK_TIME
    if pair is not None:
        _check_certificate(pair.cert_file)
        if in_tpm(pair.key_file):
            from gateway.identity.tpm import armed  # noqa: PLC0415  # only where there is a TPM

            armed.arm(made, pair, tcti)
        else:
            _load(made, pair)
    return made


def release(context: ssl.SSLContext) -> None:
    """Let go of the key in the TPM, if the context holds one: it offers no certificate any more.

    Connections that it has made live on. Blocks as long as the TPM does, without the interpreter's lock.
    """
    armed = sys.modules.get("gateway.identity.tpm.armed")
    if armed is not None:
        armed.release(context)


def _verifying(ca_file: Path | None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        return made
    try:
        made.load_verify_locations(ca_file)
    except OSError as error:
        raise _problem(ca_file, "the authorities that we trust", error) from None
    return made


def _check_certificate(cert_file: Path) -> None:
    """Tell a damaged certificate from a key that cannot be used: OpenSSL's message does not."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cert_file)
    except OSError as error:
        raise _problem(cert_file, "our certificate", error) from None


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    try:
        # an empty password: OpenSSL would otherwise ask for one on the terminal
        context.load_cert_chain(pair.cert_file, pair.key_file, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise IdentityError(f"{pair.cert_file}: is not the certificate of our key: enrol again") from None
        raise IdentityError(f"{pair.key_file}: the key file is damaged: enrol again") from None
    except OSError as error:
        raise _problem(pair.key_file, "our key", error) from None


def _problem(path: Path, what: str, error: OSError) -> IdentityError:
    reason = "no valid PEM" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
    return IdentityError(f"{path}: {what}: {reason}")
