"""What all BLE sensors share: addresses, keys, and following one address."""

import re
from asyncio import get_running_loop
from collections.abc import Callable

from gateway.domain.events import FrameRejected, SensorRead
from gateway.domain.model import Reading
from gateway.domain.ports import Advert, Board, Emit
from gateway.errors import ConfigError, DecodeError

_FULL_PERCENT = 100


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
        ConfigError: It is not 32 hexadecimal digits; the message does not show it.
    """
    if not text:
        return None
    if not re.fullmatch("[0-9A-Fa-f]{32}", text):
        raise ConfigError(("key", f"{len(text)} characters; allowed: 32 hexadecimal digits (16 bytes)"))
    return bytes.fromhex(text)


def check(address: str, key: str = "") -> None:
    """Raise ConfigError that tells everything wrong with the address and key of a `Config`."""
    problems: list[tuple[str, str]] = []
    for parse, text in ((parse_address, address), (parse_key, key)):
        try:
            parse(text)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(*problems)


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
