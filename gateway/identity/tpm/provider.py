"""OpenSSL's tpm2 provider in this process: with it, TLS signs with a key in the TPM.

Everything here speaks to the TPM and may hang with it: never on the loop's thread. The interpreter's lock is
not held meanwhile (ctypes), and what else uses OpenSSL goes on (shown in tests/tpm).
"""

import ctypes
import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Final

from gateway.errors import TpmError

_MODULES_DIR: Final = 8  # OPENSSL_MODULES_DIR of openssl/crypto.h
_LIBRARY_SHIFT: Final = 23  # ERR_LIB_OFFSET of openssl/err.h
_FIRST_OF_PROVIDERS: Final = 128  # ERR_LIB_USER: those below are OpenSSL's own
_BUSY_S: Final = 1.0
_FREE_RELOADS: Final = 8
_RELOAD_PAUSE_S: Final = 3600.0
"""An instance once used is never given back by OpenSSL (60 KiB, a descriptor): a TPM that fails all the time
must not eat the gateway."""


@dataclass
class _State:
    handle: int | None = None
    tcti: str = ""
    instances: int = 0
    next_reload_s: float = 0.0


_state = _State()
_lock = Lock()


def ensure(tcti: str) -> None:
    """Load the provider, unless it is there for this TPM.

    Raises:
        TpmError: It is not installed, or cannot speak to the TPM.
    """
    with _Alone():
        if _state.handle is None or _state.tcti != tcti:
            _replace(tcti)


def reload(tcti: str) -> None:
    """Put a new instance in the place of the present one, which an answer that failed has spoiled for good.

    Unloading and loading would not do: OpenSSL keeps the instance and its broken conversation.

    Raises:
        TpmError: As for `ensure`; or there were so many reloads that the next one has to wait.
    """
    with _Alone():
        now_s = time.monotonic()
        if _state.instances > _FREE_RELOADS:
            if now_s < _state.next_reload_s:
                minutes = (_state.next_reload_s - now_s) / 60
                raise TpmError(f"the TPM fails again and again; the next attempt is in {minutes:.0f} min")
            _state.next_reload_s = now_s + _RELOAD_PAUSE_S
        _replace(tcti)


def has_complained() -> bool:
    """Return whether the provider has noted an error in this thread, and forget all that were noted.

    OpenSSL goes on without our certificate when signing fails; and an error that nobody has fetched would be
    blamed on the next read.
    """
    crypto = _libcrypto()
    complained = False
    while code := crypto.ERR_get_error():
        complained |= (code >> _LIBRARY_SHIFT) & 0xFF >= _FIRST_OF_PROVIDERS
    return complained


class _Alone:
    """One thread at a time; who would have to wait for a hanging one learns that instead of hanging, too."""

    def __enter__(self) -> None:
        if not _lock.acquire(timeout=_BUSY_S):
            raise TpmError("the TPM does not answer: an earlier attempt is still waiting for it")

    def __exit__(self, *_: object) -> None:
        _lock.release()


def _replace(tcti: str) -> None:
    crypto = _libcrypto()
    os.environ["TPM2OPENSSL_TCTI"] = tcti  # unset, it would take any TPM simulator of this host
    os.environ.setdefault("TSS2_LOG", "all+none")
    # first: an explicit load switches the implicit default off; and with tpm2 first, each digest of TLS goes
    # to the TPM
    if not crypto.OSSL_PROVIDER_load(None, b"default"):
        raise TpmError("OpenSSL's default provider cannot be loaded")
    name = f"reed-tpm2-{_state.instances}".encode()
    crypto.OSSL_PROVIDER_add_builtin(None, name, _entry_point())
    handle = crypto.OSSL_PROVIDER_load(None, name)
    crypto.ERR_clear_error()
    if not handle:
        raise TpmError("OpenSSL's tpm2 provider cannot speak to the TPM")
    if _state.handle is not None:
        crypto.OSSL_PROVIDER_unload(_state.handle)
    _state.handle, _state.tcti = handle, tcti
    _state.instances += 1


@cache
def _libcrypto() -> ctypes.CDLL:
    """Return the very libcrypto that `ssl` uses, with the types of what is called here."""
    import _ssl  # noqa: PLC0415  # only to know its file

    library = ctypes.CDLL(getattr(_ssl, "__file__", None))
    try:
        library.OSSL_PROVIDER_load.restype = ctypes.c_void_p
        library.OSSL_PROVIDER_load.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        library.OSSL_PROVIDER_unload.argtypes = [ctypes.c_void_p]
        library.OSSL_PROVIDER_add_builtin.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        library.OpenSSL_version.restype = ctypes.c_char_p
        library.OpenSSL_version.argtypes = [ctypes.c_int]
        library.ERR_get_error.restype = ctypes.c_ulong
        library.ERR_get_error.argtypes = []
        library.ERR_clear_error.argtypes = []
        library.ERR_clear_error.restype = None
    except AttributeError:
        raise TpmError("this Python has no OpenSSL 3, and so no key in a TPM") from None
    return library


@cache
def _entry_point() -> ctypes.c_void_p:
    """Return the provider's OSSL_provider_init, by which it can be instantiated under any name."""
    told = _libcrypto().OpenSSL_version(_MODULES_DIR) or b""  # MODULESDIR: "/usr/lib/…/ossl-modules"
    folder = os.environ.get("OPENSSL_MODULES") or told.decode().partition('"')[2].rstrip('"')
    module = Path(folder) / "tpm2.so"
    if not module.exists():
        raise TpmError(f"OpenSSL's tpm2 provider is missing ({module}); run: apt install tpm2-openssl")
    try:
        return ctypes.cast(ctypes.CDLL(str(module)).OSSL_provider_init, ctypes.c_void_p)
    except (OSError, AttributeError) as error:
        raise TpmError(f"{module}: cannot be used: {error}") from None
