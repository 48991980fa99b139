"""MOCREO SW2 water leak sensor.

    manufacturer data: 01 | model 82 | ? | version | battery | ? … | flags at 10 | …

The sensor uses no assigned company id: its first two bytes, which stand where the id belongs, already are
data. So the "id" is 0x82 in the high byte, and offsets here count from the first byte after it. The format is
not published; it has neither authentication nor a packet id.
"""

from dataclasses import dataclass

from gateway.domain.model import Reading
from gateway.domain.ports import Advert, Board, Emit
from gateway.drivers.adverts import check, follow, percent
from gateway.drivers.sensors import Sensor
from gateway.errors import DecodeError

FORMAT = "mocreo-sw2"
NAME = "MOCREO"
SILENCE_S = 3600.0

_MODEL = 0x82
_BATTERY, _FLAGS = 2, 8
_BATTERY_BITS = 0x7F
_WET = 0x01


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Keys of `[sensor.<id>]` with kind = "mocreo".

    Args:
        address: The sensor's Bluetooth address.
    """

    address: str

    def __post_init__(self) -> None:
        check(self.address)


def claims(advert: Advert) -> bool:
    """Return True for an SW2; its name may be missing, as it travels in a packet of its own."""
    return advert.name in ("", NAME) and _body(advert) is not None


def decode(advert: Advert, _key: bytes | None = None) -> Reading:
    """Return what the advertisement says.

    Raises:
        DecodeError: Too short, or from something else.
    """
    body = _body(advert)
    if body is None:
        raise DecodeError("MOCREO: no manufacturer data of an SW2 (id 82xx)")
    if len(body) <= _FLAGS:
        raise DecodeError(f"MOCREO: {len(body)} bytes after the id; at least 9 are needed")
    return Reading(
        FORMAT, wet=bool(body[_FLAGS] & _WET), battery_percent=percent(body[_BATTERY] & _BATTERY_BITS)
    )


def _body(advert: Advert) -> bytes | None:
    for company, body in advert.manufacturer_data.items():
        if company >> 8 == _MODEL:
            return body
    return None


async def run(sensor_id: str, config: Config, board: Board, emit: Emit) -> None:
    """Emit each advertisement of the sensor until cancelled."""
    await follow(
        sensor_id, config.address, board, emit, lambda advert: decode(advert) if claims(advert) else None
    )


SENSOR = Sensor(
    config=Config, run=run, claims=claims, decode=decode, supervised=True, default_silence_s=SILENCE_S
)
