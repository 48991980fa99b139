"""What all BLE sensors share: addresses, keys, and following one address."""

import re
from asyncio import get_running_loop
from collections.abc import Callable

from gateway.domain.events import FrameRejected, SensorRead
from gateway.domain.model import Reading
from gateway.domain.ports import Advert, Board, Emit
from gateway.errors import ConfigError, DecodeError

_FULL_PERCENT = 100
_REFERENCE = "secret:"
_SECRET_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def parse_address(text: str) -> str:
    """Return "54:48:E6:8F:80:A5" for any usual way to write it.

    Raises:
        ConfigError: It is not a Bluetooth address.
    """
    digits = re.sub("[:-]", "", text)
    if not re.fullmatch("[0-9A-Fa-f]{12}", digits) or len(text) not in (12, 17):
        raise ConfigError(("address", f"{text[:40]!a}; allowed: six bytes, as '54:48:E6:8F:80:A5'"))
    return ":".join(re.findall("..", digits.upper()))


def parse_key(text: str) -> bytes | None:
    """Return the key's 16 bytes, or None for "".

    Raises:
        ConfigError: It is not 32 hexadecimal digits; the message does not show it. Or it only names a secret.
    """
    if not text:
        return None
    if name := secret_named(text):
        raise ConfigError(("key", f"is the secret {name}, which is not open here"))
    if not re.fullmatch("[0-9A-Fa-f]{32}", text):
        raise ConfigError(("key", f"{len(text)} characters; allowed: 32 hexadecimal digits (16 bytes)"))
    return bytes.fromhex(text)


def secret_named(key: str) -> str:
    """Return the name in "secret:NAME", or "" for a key that stands there itself.

    Raises:
        ConfigError: No secret can have that name.
    """
    if not key.startswith(_REFERENCE):
        return ""
    name = key.removeprefix(_REFERENCE)
    if not _SECRET_NAME.fullmatch(name):
        allowed = "allowed: 1 to 64 of a-z, 0-9, ., _ and -, a letter or digit first"
        raise ConfigError(("key", f"names the secret {name[:40]!a}; {allowed}"))
    return name


def check(address: str, key: str = "") -> None:
    """Raise ConfigError that tells everything wrong with the address and key of a `Config`."""
    problems: list[tuple[str, str]] = []
    for parse, text in ((parse_address, address), (_check_key, key)):
        try:
            parse(text)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)


def _check_key(text: str) -> None:
    if not secret_named(text):
        parse_key(text)


def address_bytes(advert: Advert) -> bytes:
    """Return the six bytes of the sender's address, most significant first."""
    return bytes.fromhex(advert.address.replace(":", ""))


def percent(value: int) -> int | None:
    """Return a battery level, or None for a value above 100: senders use those for "unknown"."""
    return value if value <= _FULL_PERCENT else None


async def follow(
    sensor_id: str,
    address: str,
    board: Board,
    emit: Emit,
    read: Callable[[Advert], Reading | None],
) -> None:
    """Emit what `read` makes of each advertisement of the address, until cancelled.

    `read` returns None for an advertisement that is not about the sensor's state. Its DecodeError is emitted
    as FrameRejected.
    """

    def on_advert(advert: Advert) -> None:
        try:
            reading = read(advert)
        except DecodeError as error:
            emit(FrameRejected(sensor_id, str(error)))
            return
        if reading is not None:
            emit(SensorRead(sensor_id, reading))

    with board.listen(parse_address(address), on_advert):
        await get_running_loop().create_future()
