"""What the registers of a leak detector mean: its profile, and what it says at one moment.

Profiles are data, in `profiles/*.toml` or a file of the site's own (profile_file.py).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gateway.domain.model import Reading
from gateway.domain.ports import Register

FORMAT = "modbus"

M_PER = {"m": 1.0, "dm": 0.1, "ft": 0.3048}
"""Units of length that a device may count in, in metres."""

_ALL_BITS = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A register, the same for all zones of a device or apart for each.

    Args:
        table: "input" or "holding".
        address: From 0, of the first zone.
        per_zone: What to add for each further zone.
    """

    table: str
    address: int
    per_zone: int = 0

    def register(self, nth: int) -> Register:
        """Return the register for the nth zone, from 0."""
        return Register(self.table, self.address + self.per_zone * nth)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A bit that says something when it is set; `bit_per_zone` as `per_zone`."""

    place: Place
    bit: int
    bit_per_zone: int = 0

    def mask(self, nth: int) -> int:
        """Return the bit's value for the nth zone."""
        return 1 << self.bit + self.bit_per_zone * nth


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """Where the water is.

    Args:
        place: Its register.
        unit: A key of `M_PER`; "" if a register tells.
        unit_place: The register that tells.
        units: Its values and what they stand for.
    """

    place: Place
    unit: str = ""
    unit_place: Place | None = None
    units: Mapping[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A register that is never above `at_most`; `scan` tells other devices by it."""

    place: Place
    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Zones:
    """Numbers that a sensor may give as its zone."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A device.

    Args:
        name: Maker and model.
        source: Where the facts are from: manual and page.
        note: What one has to know beside.
        hint: Serial settings as it leaves the factory, in words; "" if not known.
        zones: None if it has no zones.
        wet: Set when there is water.
        faults: What is wrong with the device, in words, when its flag is set; none if it does not say.
        distance: None if it does not say.
        limits: See Limit.
    """

    name: str
    source: str
    note: str = ""
    hint: str = ""
    zones: Zones | None = None
    wet: Flag
    faults: Mapping[str, Flag]
    distance: Distance | None = None
    limits: tuple[Limit, ...] = ()


def nth(profile: Profile, zone: int | None) -> int:
    """Return the zone counted from 0; the first if none is given."""
    return 0 if zone is None or profile.zones is None else zone - profile.zones.first


def registers(profile: Profile, zone: int | None) -> tuple[Register, ...]:
    """Return all registers that `decode` needs."""
    at = nth(profile, zone)
    return tuple(dict.fromkeys(place.register(at) for place in _places(profile)))


def _places(profile: Profile) -> Iterator[Place]:
    yield profile.wet.place
    for flag in profile.faults.values():
        yield flag.place
    if profile.distance is not None:
        yield profile.distance.place
        if profile.distance.unit_place is not None:
            yield profile.distance.unit_place


def decode(profile: Profile, values: Mapping[Register, int], zone: int | None = None) -> Reading:
    """Return what the registers say.

    Args:
        profile: The device.
        values: 16-bit values of at least `registers(profile, zone)`.
        zone: Which of its zones; None for the first or only one.
    """
    at = nth(profile, zone)

    def is_set(flag: Flag) -> bool:
        return bool(values[flag.place.register(at)] & flag.mask(at))

    wet = is_set(profile.wet)
    fault = "; ".join(words for words, flag in profile.faults.items() if is_set(flag))
    return Reading(
        FORMAT,
        wet=wet,
        distance_m=_distance_m(profile.distance, values, at) if wet and profile.distance else None,
        fault=fault if profile.faults else None,
    )


def _distance_m(distance: Distance, values: Mapping[Register, int], at: int) -> float | None:
    unit = distance.unit
    if distance.unit_place is not None:
        unit = distance.units.get(values[distance.unit_place.register(at)], "")
    if unit not in M_PER:
        return None  # better no place than one that is wrong by a factor of three
    return round(values[distance.place.register(at)] * M_PER[unit], 2)


def scan_registers(profile: Profile) -> tuple[Register, ...]:
    """Return what to read to see whether a device may be one of these."""
    return tuple(
        dict.fromkeys([*registers(profile, None), *(limit.place.register(0) for limit in profile.limits)])
    )


def mismatch(profile: Profile, values: Mapping[Register, int]) -> str:
    """Return why a device with these `scan_registers` is none of these; "" if it may be one."""
    known: dict[Register, int] = {}
    for flag in (profile.wet, *profile.faults.values()):
        if flag.bit_per_zone or not profile.faults:
            continue  # the other bits belong to other zones, or the source does not name them
        register = flag.place.register(0)
        known[register] = known.get(register, 0) | flag.mask(0)
    for limit in profile.limits:
        register = limit.place.register(0)
        if values[register] > limit.at_most:
            return f"{register.table} {register.address} is {values[register]}, more than {limit.at_most}"
        known[register] = _ALL_BITS
    for register, bits in known.items():
        if values[register] & ~bits:
            where = f"{register.table} {register.address}"
            return f"{where} is 0x{values[register]:04x}; only 0x{bits:04x} has a meaning"
    distance = profile.distance
    if distance is not None and distance.unit_place is not None:
        unit = values[distance.unit_place.register(0)]
        if unit not in distance.units:
            return f"the unit of length is {unit}"
    return ""
