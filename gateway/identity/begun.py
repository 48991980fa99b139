"""What an enrolment that was cut off has left: a key, whose token it was made for, perhaps a certificate.

The cloud gives a certificate again for the same token and the same key; so the key is worth keeping.
"""

import hashlib
from pathlib import Path

from gateway import durable
from gateway.errors import IdentityError
from gateway.identity.config import Config
from gateway.identity.keys import Keys, keys_of
from gateway.identity.pair import Pair
from gateway.identity.slots import NAMES, Slots
from gateway.identity.token import Token


def is_of(pair: Pair, token: Token) -> bool:
    """Return True if the pair was made for this token. Raises IdentityError: the disk cannot be read."""
    try:
        return _mark(pair).read_bytes() == _hashed(token)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise IdentityError(f"{_mark(pair)}: {error.strerror or error}") from None


def note(pair: Pair, token: Token) -> None:
    """Note whose token the pair is made for; not the token itself. Raises OSError."""
    durable.write(_mark(pair), _hashed(token))


def left_over(slots: Slots, keys: Keys, config: Config, token: Token) -> Pair | None:
    """Return a pair that is not in use and was made for this token, if its key can be used as `keys` say."""
    for pair in _spares(slots):
        if is_of(pair, token) and _is_usable(pair, keys, config, token.gateway_id):
            return pair
    return None


def forget(slots: Slots) -> None:
    """Remove the marks of pairs that are not in use: they are nothing to go on with. Raises OSError."""
    for pair in _spares(slots):
        if pair.key_file.parent.exists():
            durable.remove(_mark(pair))


def _spares(slots: Slots) -> list[Pair]:
    current = slots.current()
    return [slots.pair(name) for name in NAMES if current is None or name != current.slot]


def _is_usable(pair: Pair, keys: Keys, config: Config, gateway_id: str) -> bool:
    try:
        holder = keys_of(pair.key_file, config)
        return holder.kind == keys.kind and bool(holder.csr(pair.key_file, gateway_id))
    except IdentityError:
        return False


def _mark(pair: Pair) -> Path:
    return pair.key_file.with_name("token")


def _hashed(token: Token) -> bytes:
    # 128 bits of chance need no salt
    return hashlib.sha256(f"{token.gateway_id}.{token.secret}".encode()).hexdigest().encode()
