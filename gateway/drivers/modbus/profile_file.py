"""Reads profiles: TOML in, frozen dataclasses out, everything that is wrong named at once."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from gateway.drivers.modbus.answer import FUNCTIONS
from gateway.drivers.modbus.profile import M_PER, Distance, Flag, Limit, Place, Profile, Zones
from gateway.errors import ConfigError

MAX_BYTES = 1 << 16

_SUFFIX = ".toml"
_MOST_ADDRESS = 0xFFFF
_MOST_BIT = 15
_PLACE_KEYS = {*FUNCTIONS, "per_zone"}

_Table = Mapping[str, Any]


def names() -> tuple[str, ...]:
    """Return the names of the profiles that come with the gateway, sorted."""
    found = (entry.name for entry in _shipped().iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX)))


def load(name: str) -> Profile:
    """Return a profile by its name or by the absolute path of a file; reads the file.

    Raises:
        ConfigError: With everything that is wrong; the keys begin with the name.
    """
    if "/" in name:
        path = Path(name)
        if not path.is_absolute():
            raise ConfigError((name, "is a relative path; give an absolute one"))
        return parse(name, _text(name, path))
    if name not in names():
        raise ConfigError((name, f"is no profile; known: {', '.join(names())}, or the path of a file"))
    return parse(name, _text(name, _shipped() / f"{name}{_SUFFIX}"))


def parse(name: str, text: str) -> Profile:
    """Return the profile that a file describes. Raises ConfigError, as `load`."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError((name, f"is not TOML: {error}")) from None
    reader = _Reader(name)
    profile = reader.profile(table)
    if profile is None or reader.problems:
        raise ConfigError(*reader.problems)
    return profile


def wrong_zone(profile: Profile, zone: int) -> str:
    """Return what is wrong with a sensor's zone, 0 for none given; "" if nothing is."""
    zones = profile.zones
    if zones is None:
        return f"{zone}; {profile.name} has no zones, leave it out" if zone else ""
    if zones.first <= zone <= zones.last:
        return ""
    return f"{zone or 'missing'}; allowed for {profile.name}: {zones.first} to {zones.last}"


def _shipped() -> Traversable:
    return resources.files("gateway.drivers.modbus") / "profiles"


def _text(name: str, file: Traversable | Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError((name, f"is larger than {MAX_BYTES} bytes; is it the right file?"))
        return data.decode()
    except OSError as error:
        raise ConfigError((name, f"cannot be read: {error.strerror or error}")) from None
    except ValueError:
        raise ConfigError((name, "is not UTF-8, or no path")) from None


class _Reader:
    """Builds the parts of a profile and notes what is wrong on the way."""

    def __init__(self, name: str) -> None:
        self.problems: list[tuple[str, str]] = []
        self._name = name

    def profile(self, table: _Table) -> Profile | None:
        known = {"name", "source", "note", "hint", "zones", "wet", "faults", "distance", "limits"}
        self._refuse_unknown(table, known, "")
        texts = {key: self._words(table, key) for key in ("name", "source", "note", "hint")}
        for key in ("name", "source"):
            if not texts[key]:
                self._add(key, "missing; say what it is and where the facts are from")
        wet = self._flag(table.get("wet"), "wet")
        faults = {
            words: flag
            for words, given in self._table(table.get("faults", {}), "faults").items()
            if (flag := self._flag(given, f"faults.{words}"))
        }
        distance = self._distance(table["distance"]) if "distance" in table else None
        limits = self._limits(table.get("limits", []))
        zones = self._zones(table["zones"]) if "zones" in table else None
        if wet is None or self.problems:
            return None
        return Profile(**texts, zones=zones, wet=wet, faults=faults, distance=distance, limits=limits)

    def _flag(self, given: object, key: str) -> Flag | None:
        table = self._table(given, key)
        self._refuse_unknown(table, {*_PLACE_KEYS, "bit", "bit_per_zone"}, key)
        place = self._place(table, key)
        bit = self._number(table, "bit", key, _MOST_BIT)
        per_zone = self._number(table, "bit_per_zone", key, _MOST_BIT, 0)
        if place is None or bit is None or per_zone is None:
            return None
        return Flag(place=place, bit=bit, bit_per_zone=per_zone)

    def _place(self, table: _Table, key: str) -> Place | None:
        given = [name for name in FUNCTIONS if name in table]
        if len(given) != 1:
            self._add(key, "give the register: input = ADDRESS or holding = ADDRESS, counted from 0")
            return None
        address = self._number(table, given[0], key, _MOST_ADDRESS)
        per_zone = self._number(table, "per_zone", key, _MOST_ADDRESS, 0)
        if address is None or per_zone is None:
            return None
        return Place(table=given[0], address=address, per_zone=per_zone)

    def _distance(self, given: object) -> Distance | None:
        table = self._table(given, "distance")
        self._refuse_unknown(table, {*_PLACE_KEYS, "unit", "unit_register", "units"}, "distance")
        place = self._place(table, "distance")
        if ("unit" in table) == ("unit_register" in table):
            self._add("distance", "give either unit, or unit_register with units")
            return None
        if "unit" in table:
            unit = self._unit(table["unit"], "distance.unit")
            return Distance(place=place, unit=unit, units={}) if place is not None else None
        told = self._place(
            self._table(table["unit_register"], "distance.unit_register"), "distance.unit_register"
        )
        units = {
            int(code): self._unit(unit, f"distance.units.{code}")
            for code, unit in self._table(table.get("units", {}), "distance.units").items()
            if self._is_code(code)
        }
        if place is None or told is None:
            return None
        return Distance(place=place, unit_place=told, units=units)

    def _is_code(self, code: str) -> bool:
        if not code.isdecimal():
            self._add(f"distance.units.{code}", "is no whole number")
        return code.isdecimal()

    def _unit(self, given: object, key: str) -> str:
        if not isinstance(given, str) or given not in M_PER:
            self._add(key, f"{given!r} is not allowed; give one of {', '.join(M_PER)}")
            return ""
        return given

    def _limits(self, given: object) -> tuple[Limit, ...]:
        if not isinstance(given, list):
            self._add("limits", "is no list of tables")
            return ()
        made = []
        for i, item in enumerate(given):
            key = f"limits[{i}]"
            table = self._table(item, key)
            self._refuse_unknown(table, {*_PLACE_KEYS, "at_most"}, key)
            place, at_most = self._place(table, key), self._number(table, "at_most", key, _MOST_ADDRESS)
            if place is not None and at_most is not None:
                made.append(Limit(place=place, at_most=at_most))
        return tuple(made)

    def _zones(self, given: object) -> Zones | None:
        table = self._table(given, "zones")
        self._refuse_unknown(table, {"first", "last"}, "zones")
        first, last = (self._number(table, name, "zones", _MOST_ADDRESS) for name in ("first", "last"))
        if first is None or last is None:
            return None
        if last < first:
            self._add("zones", f"{first} to {last} is no range")
        return Zones(first=first, last=last)

    # --- values -------------------------------------------------------------------------------------

    def _number(
        self, table: _Table, name: str, key: str, most: int, default: int | None = None
    ) -> int | None:
        value = table.get(name, default)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
            return value
        self._add(
            f"{key}.{name}",
            f"{'missing' if value is None else value!r}; give a whole number from 0 to {most}",
        )
        return None

    def _words(self, table: _Table, key: str) -> str:
        value = table.get(key, "")
        if isinstance(value, str):
            return value.strip()
        self._add(key, f"{value!r} is no text")
        return ""

    def _table(self, given: object, key: str) -> _Table:
        if isinstance(given, dict):
            return given
        self._add(key, "missing" if given is None else "is no table")
        return {}

    def _refuse_unknown(self, table: _Table, known: set[str], key: str) -> None:
        for name in table:
            if name not in known:
                where = f"{key}.{name}" if key else name
                self._add(where, f"unknown key; known: {', '.join(sorted(known))}")

    def _add(self, key: str, problem: str) -> None:
        self.problems.append((f"{self._name}: {key}", problem))
