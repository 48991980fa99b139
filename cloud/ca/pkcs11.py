"""The authority's key in a security module, through PKCS #11 (tried with SoftHSM 2).

Imported only where the settings ask for it.
"""

import hmac
import threading
from collections.abc import Callable
from typing import TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11.types import Session
from pkcs11.util.ec import encode_named_curve_parameters

from cloud.ca.config import Config
from cloud.ca.outside import OutsideKey, from_point
from cloud.errors import SignerError

T = TypeVar("T")

_POINT_BYTES = 65
_HALF = 32


class _Module:
    """One logged-in session; opened anew once when the module has lost it (a restart, a pulled card).

    One for each token: a process is logged in to a token or not, whatever sessions it has (PKCS #11 v2.40,
    C_Login), so two keys on one token share it.
    """

    def __init__(self, config: Config, pin: str) -> None:
        self._config = config
        self._pin = pin
        self._session: Session | None = None
        self._lock = threading.Lock()

    def has_pin(self, pin: str) -> bool:
        """Return whether this is the PIN that it logs in with."""
        return hmac.compare_digest(self._pin.encode(), pin.encode())

    def use(self, work: Callable[[Session], T]) -> T:
        """Return what the work returns. Raises SignerError."""
        with self._lock:
            try:
                return work(self._open())
            except pkcs11.NoSuchKey:
                raise
            except pkcs11.PKCS11Error:
                self._close()
            try:
                return work(self._open())
            except pkcs11.PKCS11Error as error:
                self._close()
                raise SignerError(f"{self._config.pkcs11_module}: {_words(error)}") from None

    def _open(self) -> Session:
        if self._session is None:
            try:
                library = pkcs11.lib(self._config.pkcs11_module)
            except (pkcs11.PKCS11Error, RuntimeError) as error:
                raise SignerError(
                    f"{self._config.pkcs11_module}: cannot be loaded: {_words(error)}"
                ) from None
            self._session = self._log_in(library)
        return self._session

    def _log_in(self, library: "pkcs11._pkcs11.lib") -> Session:
        label = self._config.pkcs11_token
        try:
            token = library.get_token(token_label=label)
        except pkcs11.NoSuchToken:
            raise SignerError(
                f'{self._config.pkcs11_module}: has no token "{label}"; see pkcs11_token'
            ) from None
        try:
            return token.open(rw=True, user_pin=self._pin)
        except (pkcs11.PinIncorrect, pkcs11.PinLenRange, pkcs11.PinLocked) as error:
            raise SignerError(f'token "{label}": the passphrase is not its PIN ({_words(error)})') from None

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except pkcs11.PKCS11Error:
                return  # it was gone already


_modules: dict[tuple[str, str], _Module] = {}
_modules_lock = threading.Lock()


def _module(config: Config, pin: str) -> _Module:
    """Return the token's session, logged in with this PIN. Raises SignerError."""
    place = (config.pkcs11_module, config.pkcs11_token)
    with _modules_lock:
        known = _modules.get(place)
        if known is not None and not known.has_pin(pin):
            raise SignerError(f'token "{config.pkcs11_token}": the passphrase is not its PIN')
        if known is None:
            known = _Module(config, pin)
            known.use(lambda session: session)
            _modules[place] = known
        return known


class Pkcs11Key(OutsideKey):
    """A key in the module, under a label."""

    def __init__(self, module: _Module, label: str, public_key: ec.EllipticCurvePublicKey) -> None:
        super().__init__(public_key)
        self._module = module
        self._label = label

    def sign_digest(self, digest: bytes) -> tuple[int, int]:
        """Return r and s, computed in the module."""
        signature = self._module.use(lambda session: _sign(session, self._label, digest))
        return int.from_bytes(signature[:_HALF]), int.from_bytes(signature[_HALF:])


def make_pkcs11_key(config: Config, label: str, pin: str) -> Pkcs11Key:
    """Make a P-256 key in the module that never leaves it.

    Raises:
        SignerError: The module, the token or the PIN is not right.
    """
    _module(config, pin).use(lambda session: _generate(session, label))
    return open_pkcs11_key(config, label, pin)


def open_pkcs11_key(config: Config, label: str, pin: str) -> Pkcs11Key:
    """Return the key under a label.

    Raises:
        SignerError: It is not there, or the module, the token or the PIN is not right.
    """
    module = _module(config, pin)
    try:
        return Pkcs11Key(module, label, module.use(lambda session: _public_key(session, label)))
    except pkcs11.NoSuchKey:
        raise SignerError(f'token "{config.pkcs11_token}" has no key "{label}"') from None


def _generate(session: Session, label: str) -> None:
    curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
    parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
    private = {pkcs11.Attribute.EXTRACTABLE: False, pkcs11.Attribute.SENSITIVE: True}
    parameters.generate_keypair(store=True, label=label, private_template=private)


def _sign(session: Session, label: str, digest: bytes) -> bytes:
    key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=label)
    return bytes(key.sign(digest, mechanism=pkcs11.Mechanism.ECDSA))  # type: ignore[attr-defined]


def _public_key(session: Session, label: str) -> ec.EllipticCurvePublicKey:
    """Return the key whose point the module tells as a DER OCTET STRING (PKCS #11 v2.40, 2.3.3)."""
    key = session.get_key(object_class=pkcs11.ObjectClass.PUBLIC_KEY, label=label)
    return from_point(bytes(key[pkcs11.Attribute.EC_POINT])[-_POINT_BYTES:])


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
