"""SwitchBot water leak detector.

    manufacturer data 0969: address, 6 bytes | sequence | battery | flags | …
    service data FD3D:      model, "&" | …      missing where a scan is passive

The format is not published by the maker; the layout is as seen in advertisements. It has no authentication:
anybody in radio range can make such a detector look wet or dry.
"""

from dataclasses import dataclass

from gateway.domain.model import Reading
from gateway.domain.ports import Advert, Board, Emit
from gateway.drivers.adverts import check, follow, percent
from gateway.drivers.sensors import Sensor
from gateway.errors import DecodeError

FORMAT = "switchbot-leak"
COMPANY = 0x0969
MODEL_UUID = 0xFD3D
SILENCE_S = 3600.0

_MODELS = (0x26, 0x06)  # "&", and the same while the detector is being paired
_MODEL_BITS = 0x7F
_BATTERY, _FLAGS = 7, 8
_BATTERY_BITS, _BATTERY_LOW = 0x7F, 0x80
_WET, _TAMPER = 0x01, 0x02


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Keys of `[sensor.<id>]` with kind = "switchbot".

    Args:
        address: The detector's Bluetooth address.
    """

    address: str

    def __post_init__(self) -> None:
        check(self.address)


def claims(advert: Advert) -> bool:
    """Return True if the advertisement carries SwitchBot's manufacturer data."""
    return COMPANY in advert.manufacturer_data


def decode(advert: Advert, _key: bytes | None = None) -> Reading:
    """Return what the advertisement says.

    Raises:
        DecodeError: Too short, or from another model.
    """
    model = advert.service_data.get(MODEL_UUID, b"")
    if model and model[0] & _MODEL_BITS not in _MODELS:
        raise DecodeError(
            f"SwitchBot: model {model[0] & _MODEL_BITS:02X} is not the water leak detector (26)"
        )
    data = advert.manufacturer_data.get(COMPANY, b"")
    if len(data) <= _FLAGS:
        raise DecodeError(f"SwitchBot: {len(data)} bytes of manufacturer data 0969; at least 9 are needed")
    return Reading(
        FORMAT,
        wet=bool(data[_FLAGS] & _WET),
        battery_percent=percent(data[_BATTERY] & _BATTERY_BITS),
        battery_low=bool(data[_BATTERY] & _BATTERY_LOW),
        tamper=bool(data[_FLAGS] & _TAMPER),
    )


async def run(sensor_id: str, config: Config, board: Board, emit: Emit) -> None:
    """Emit each advertisement of the detector until cancelled."""
    await follow(
        sensor_id, config.address, board, emit, lambda advert: decode(advert) if claims(advert) else None
    )


SENSOR = Sensor(
    config=Config, run=run, claims=claims, decode=decode, supervised=True, default_silence_s=SILENCE_S
)
