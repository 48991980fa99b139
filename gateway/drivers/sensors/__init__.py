"""Sensors: one file for each kind, named as in `kind = "…"` of the configuration.

A new kind is one new file here (docs/adding-a-sensor.md). It holds

- `Config`: a frozen, keyword-only dataclass with the keys of `[sensor.<id>]`. Wrong values make it raise
  ConfigError whose keys are field names ("address"); the caller puts "sensor.<id>." in front.
- `run(sensor_id, config, board, emit)`: emits events until cancelled. Raises DriverError.
- `decode(advert, key)`: for radio sensors, a pure function from bytes to a Reading. Raises DecodeError.
- `SENSOR`: these, tied together.

The keys `kind`, `name`, `silence_s` and `battery_low_percent` are common to all and not in `Config`.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar

from gateway.domain.model import Reading
from gateway.domain.ports import Advert, Board, Emit

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor(Generic[ConfigT]):
    """What the rest of the gateway knows of a kind of sensor.

    Args:
        config: The dataclass of its keys.
        run: Emits SensorRead, SensorFaulted and FrameRejected until cancelled. A reading reaches the core
            within the callback of the line or radio that brought it.
        claims: True for an advertisement that carries this format, well-formed or not; None if not a radio.
        decode: The reading in an advertisement that it claims; the key is None where none is configured.
        keyed: True if this configuration accepts authentic frames only.
        supervised: A dead sensor or cut wire is noticed.
        default_silence_s: Seconds without a sign of life after which it counts as missing; None for never.
    """

    config: type[ConfigT]
    run: Callable[[str, ConfigT, Board, Emit], Awaitable[None]]
    claims: Callable[[Advert], bool] | None = None
    decode: Callable[[Advert, bytes | None], Reading] | None = None
    keyed: Callable[[ConfigT], bool] = lambda _config: False
    supervised: bool = False
    default_silence_s: float | None = None


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds, sorted, without importing them."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


# Any: only the file of the kind knows the type of its Config.
def load(kind: str) -> Sensor[Any]:
    """Import and return a kind.

    Raises:
        LookupError: There is no such kind; `kinds()` names those that exist.
    """
    if kind not in kinds():
        raise LookupError(kind)
    sensor: Sensor[Any] = import_module(f"{__name__}.{kind}").SENSOR
    return sensor


def any_radio(used: Iterable[str]) -> bool:
    """Tell whether one of these kinds is heard by radio. Raises LookupError."""
    return any(load(kind).claims is not None for kind in used)
