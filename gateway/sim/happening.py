"""What happens in the simulated building, as it goes over its socket: one JSON object each.

`at_s` is the building's time. The server's building runs on the machine's monotonic clock, so that any
process of the machine can compare these times with its own.
"""

from typing import TypeAlias

from msgspec import Struct, field

from gateway.domain.ports import Advert


class _Happening(Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    at_s: float


class ContactChanged(_Happening, frozen=True, tag="contact"):
    """The contact behind an input line closed or opened."""

    line: str
    closed: bool


class LoopChanged(_Happening, frozen=True, tag="loop"):
    """The voltage at a converter's input changed; a part of the supply. `input` is "<adc>/<channel>"."""

    input: str
    ratio: float


class AdvertSent(_Happening, frozen=True, tag="advert"):
    """A radio sensor sent an advertisement; keys are service UUIDs and company ids."""

    sensor: str
    address: str
    service_data: dict[int, bytes] = field(default_factory=dict)
    manufacturer_data: dict[int, bytes] = field(default_factory=dict)
    name: str = ""
    rssi_dbm: int | None = None

    @property
    def advert(self) -> Advert:
        """What a radio receives of it."""
        return Advert(self.address, self.service_data, self.manufacturer_data, self.name, self.rssi_dbm)


class OutputSet(_Happening, frozen=True, tag="output"):
    """The gateway drove an output line."""

    line: str
    level: bool


class ValveStopped(_Happening, frozen=True, tag="valve"):
    """A valve came to rest; `position` is 0.0 shut to 1.0 open."""

    valve: str
    position: float


class SensorWetted(_Happening, frozen=True, tag="sensor"):
    """Water reached a sensor, or left it."""

    sensor: str
    wet: bool


class Damaged(_Happening, frozen=True, tag="damage"):
    """The gateway did something that breaks real hardware."""

    valve: str
    problem: str


Happening: TypeAlias = (
    ContactChanged | LoopChanged | AdvertSent | OutputSet | ValveStopped | SensorWetted | Damaged
)
