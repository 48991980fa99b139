"""TLS contexts that hold a key in the TPM, and how they let go of it.

OpenSSL tells the TPM when the last reference to a key goes. Where Python drops a context or a connection, it
does so holding the interpreter's lock: with a TPM that hangs, the whole process would stand still, valves and
all. So an armed context is kept alive until `release`, where the lock is not held; and a connection drops its
reference as soon as its handshake is over, while the context still has its own.
"""

import ctypes
import os
import ssl
from contextlib import suppress
from functools import cache
from typing import Final

from gateway.errors import IdentityError, TpmError
from gateway.identity.pair import Pair
from gateway.identity.tpm import provider
from gateway.identity.tpm.keys import of_file

_CHECK_S: Final = 20.0
_MISMATCH: Final = "KEY_VALUES_MISMATCH"
_NOBODY: Final = """-----BEGIN CERTIFICATE-----
MIIBdzCCARygAwIBAgIUc2bplC05vGqgjYuGO7rYv5/i+zYwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGbm9ib2R5MCAXDTI2MTEyMzA0MzYyNVoYDzIxMjYxMDMwMDQz
NjI1WjARMQ8wDQYDVQQDDAZub2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARu3eng4+JlTGd1yCABm0hSY6Ut6jmAoEjtfZX9J0+B4H40dxZ5bPZQm5pl2f+g
lsII5eEr75xBuwe9oYGCfov5o1AwTjAdBgNVHQ4EFgQUdhbUdG4dAQeNulrNgEvR
teKZoA4wHwYDVR0jBBgwFoAUdhbUdG4dAQeNulrNgEvRteKZoA4wDAYDVR0TAQH/
BAIwADAKBggqhkjOPQQDAgNJADBGAiEA1sOGxcQeaCEDzZqFHMJkbY881EHC5ykK
gpdc2eI4cGQCIQD2SDjQD4xjPpR/dIw2L9TS3NE2jSoiAh+mKIcfM5g/zQ==
-----END CERTIFICATE-----
"""
"""A P-256 certificate that belongs to nobody: OpenSSL frees the key that does not fit it."""

_armed: list[ssl.SSLContext] = []
"""Each with a reference too many, so that not even the end of the interpreter frees it."""


def arm(context: ssl.SSLContext, pair: Pair, tcti: str) -> None:
    """Give the context our certificate and its key in the TPM. Blocks as long as the TPM does.

    A process has room for two keys: earlier contexts are released, but for the last one.

    Raises:
        TpmError: The TPM is missing, hangs or refuses.
        IdentityError: The pair does not fit, is damaged, or belongs to another TPM.
    """
    for earlier in _armed[:-1]:
        release(earlier)
    _keep(context)
    try:
        _arm(context, pair, tcti)
    except TpmError:
        release(context)
        of_file(pair.key_file, "check", tcti, _CHECK_S)  # says more than OpenSSL does
        raise
    except BaseException:
        release(context)
        raise


def _arm(context: ssl.SSLContext, pair: Pair, tcti: str) -> None:
    provider.ensure(tcti)
    if _load(context, pair):
        return
    provider.reload(tcti)  # an earlier failure may have spoiled it
    if not _load(context, pair):
        raise TpmError(f"{pair.key_file}: the TPM can use this key, but OpenSSL's tpm2 provider cannot")


def release(context: ssl.SSLContext) -> None:
    """Let go of the key in the TPM; the context then offers no certificate. Blocks as long as the TPM does.

    Nothing happens to a context that holds none. Not while a handshake of this context is under way.
    """
    try:
        _armed.remove(context)  # at once: no other thread must do the same
    except ValueError:
        return
    with suppress(OSError):  # it wants a key for this certificate: there is none
        nobody = _nobody()
        context.load_cert_chain(nobody, nobody)
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(context))


def _keep(context: ssl.SSLContext) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(context))
    _armed.append(context)
    context.sslsocket_class = _Connection


def _load(context: ssl.SSLContext, pair: Pair) -> bool:
    """Return whether the pair was loaded; if not, the TPM is to blame. Raises IdentityError."""
    try:
        # an empty password: OpenSSL would otherwise ask for one on the terminal
        context.load_cert_chain(pair.cert_file, pair.key_file, password="")
    except OSError as error:  # on the way to the TPM errno is set, and ssl reports that instead of its own
        if isinstance(error, ssl.SSLError) and error.reason == _MISMATCH:
            raise IdentityError(f"{pair.cert_file}: is not the certificate of our key: enrol again") from None
        return False
    provider.has_complained()  # of what it tried before it found the right way to read the key
    return True


class _Connection(ssl.SSLSocket):
    """Keeps no reference to the key once its handshake has ended, well or badly.

    `do_handshake` raises TpmError if the TPM did not sign: the server only sees that we have no certificate.
    """

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise  # a non-blocking socket: it goes on
        except BaseException:
            self._forget_key()
            raise
        has_failed = provider.has_complained()
        self._forget_key()
        if has_failed:
            raise TpmError("the TPM failed in the middle of a handshake; it is tried again")

    def _forget_key(self) -> None:
        with suppress(AttributeError):  # not connected: there is nothing to forget
            self.context = _keyless()


@cache
def _keyless() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@cache
def _nobody() -> str:
    """Return a path at which OpenSSL finds the certificate; it takes nothing but files."""
    file = os.memfd_create("nobody.pem")
    os.write(file, _NOBODY.encode())
    return f"/proc/self/fd/{file}"
