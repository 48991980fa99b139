"""From a TOML table to a frozen dataclass: the fields are the keys, their types say what is allowed.

Problems are collected, not raised, so that a person sees all of them at once. Units are taken from the
names: `_s` is never negative, `_percent` lies within 0 to 100. "off" stands for None, which TOML lacks.
"""

import dataclasses
import math
import os
import types
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

from gateway.errors import ConfigError

T = TypeVar("T")

# Any: TOML values and the annotations of arbitrary dataclasses are what this module turns into types.
Table: TypeAlias = Mapping[str, Any]
Values: TypeAlias = dict[str, Any]
Hint: TypeAlias = Any
Value: TypeAlias = Any

OFF = "off"

UNITS = {
    "_s": "seconds",
    "_bytes": "bytes",
    "_percent": "percent",
    "_degc": "degrees Celsius",
    "_v": "volts",
    "_ohm": "ohms",
    "_per_s": "per second",
    "_l_per_min": "litres per minute",
    "litres_per_pulse": "litres",
}
"""Unit by the end of a key's name; the longest end counts."""

_MAY_BE_NEGATIVE = {"degrees Celsius"}


class Invalid(Exception):  # noqa: N818  # never leaves this package
    """A value is not what its key allows; the message says both."""


class Reader:
    """Reads tables and keeps every problem found; `folder` is where relative paths start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[tuple[str, str]] = []

    def add(self, key: str, problem: str) -> None:
        """Note a problem."""
        self.problems.append((key, problem))

    def build(self, cls: type[T], table: Table, where: str, given: Table | None = None) -> T | None:
        """Return an instance of the dataclass, or None after noting why not.

        Args:
            cls: Its fields are the keys.
            table: As parsed.
            where: Dotted name of the table, for messages.
            given: Fields that are no keys of the table: their values are already known.
        """
        values = dict(given or {})
        fields = {field.name: field for field in dataclasses.fields(cls) if field.name not in values}  # type: ignore[arg-type]  # T is a dataclass
        sound = self.refuse_unknown(table, fields, where)
        hints = get_type_hints(cls)
        for name, field in fields.items():
            if name in table:
                sound &= self._take(values, name, hints[name], table[name], f"{where}.{name}")
            elif _required(field):
                self.add(f"{where}.{name}", f"missing; give {allowed(name, hints[name])}")
                sound = False
        return self._make(cls, values, where) if sound else None

    def refuse_unknown(self, table: Table, known: Collection[str], where: str) -> bool:
        """Note every key that nobody reads, with the nearest that exists; return True if there is none."""
        unknown = [key for key in table if key not in known]
        for key in unknown:
            self.add(f"{where}.{key}" if where else key, f"unknown key; {suggestion(key, known)}")
        return not unknown

    def _take(self, values: Values, name: str, hint: Hint, value: Value, key: str) -> bool:
        try:
            values[name] = self._converted(name, hint, value)
        except Invalid as problem:
            self.add(key, str(problem))
            return False
        return True

    def _converted(self, name: str, hint: Hint, value: Value) -> Value:
        converted = convert(hint, value)
        if converted is _WRONG:
            is_secret = name == "key" and hint is str
            raise Invalid(
                f"{'this' if is_secret else shown(value)} is not allowed; give {allowed(name, hint)}"
            )
        if isinstance(converted, Path):
            converted = self.folder / converted
            if name.endswith("_file") and not os.access(converted, os.R_OK):
                raise Invalid(f"cannot read {converted}; check the path and its permissions")
        _check_range(name, converted)
        return converted

    def _make(self, cls: type[T], values: Values, where: str) -> T | None:
        try:
            return cls(**values)
        except ConfigError as error:
            for key, problem in error.problems:
                self.add(f"{where}.{key}", problem)
        except ValueError as error:
            self.add(where, str(error))
        return None


_WRONG = object()
_UNIONS = (Union, types.UnionType)
_SEQUENCES = (tuple, frozenset)


def _origin(hint: Hint) -> object:
    """Return what a generic type was made of; typeshed cannot name its type."""
    return get_origin(hint)


def convert(hint: Hint, value: Value) -> Value:  # one line for each type
    """Return the TOML value as the annotated type, or a private marker if it cannot be one."""
    if _origin(hint) in _UNIONS:
        return _convert_union(hint, value)
    if _origin(hint) is Literal:
        return value if value in get_args(hint) and isinstance(value, str) else _WRONG
    if _origin(hint) in _SEQUENCES:
        return _convert_sequence(hint, value)
    if hint is float:
        return float(value) if _is_number(value) and math.isfinite(value) else _WRONG
    if hint is int:
        return value if isinstance(value, int) and not isinstance(value, bool) else _WRONG
    if hint in (bool, str):
        return value if isinstance(value, hint) else _WRONG
    if hint is Path:
        return Path(value) if isinstance(value, str) and value and "\0" not in value else _WRONG
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint(value) if isinstance(value, str) and value in list(hint) else _WRONG
    raise TypeError(f"no TOML value can be a {hint}")


def _convert_union(hint: Hint, value: Value) -> Value:
    options = [option for option in get_args(hint) if option is not types.NoneType]
    if value == OFF and len(options) < len(get_args(hint)):
        return None
    converted = (convert(option, value) for option in options)
    return next((result for result in converted if result is not _WRONG), _WRONG)


def _convert_sequence(hint: Hint, value: Value) -> Value:
    if not isinstance(value, list):
        return _WRONG
    items = [convert(get_args(hint)[0], item) for item in value]
    if any(item is _WRONG for item in items) or len(set(items)) < len(items):
        return _WRONG
    return frozenset(items) if _origin(hint) is frozenset else tuple(items)


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_range(name: str, value: Value) -> None:
    unit = unit_of(name)
    if not unit or not isinstance(value, int | float) or unit in _MAY_BE_NEGATIVE:
        return
    if value < 0 or (unit == "percent" and value > 100):  # noqa: PLR2004  # per cent
        raise Invalid(f"{shown(value)} is out of range; give {_range(unit)}")


def _range(unit: str) -> str:
    return "0 to 100 percent" if unit == "percent" else f"0 or more ({unit})"


def unit_of(name: str) -> str:
    """Return the unit that the end of a key's name promises, or ""."""
    ends = [end for end in UNITS if name.endswith(end)]
    return UNITS[max(ends, key=len)] if ends else ""


def allowed(name: str, hint: Hint) -> str:
    """Return in words what a key accepts."""
    if _origin(hint) in _UNIONS:
        options = [allowed(name, option) for option in get_args(hint) if option is not types.NoneType]
        return " or ".join([*options, *(['"off"'] if types.NoneType in get_args(hint) else [])])
    if _origin(hint) is Literal:
        return _one_of(get_args(hint))
    if _origin(hint) in _SEQUENCES:
        return _list_of(get_args(hint)[0])
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return _one_of([member.value for member in hint])
    words: dict[object, str] = {
        bool: "true or false",
        str: "a string",
        Path: "a path",
        int: "a whole number",
        float: "a number",
    }
    unit = unit_of(name)
    return words[hint] + (f" ({unit})" if unit and hint in (int, float) else "")


def _list_of(hint: Hint) -> str:
    of = allowed("", hint) if isinstance(hint, type) and issubclass(hint, StrEnum) else "strings"
    return f"a list of {of}, each once"


def _one_of(values: Collection[str]) -> str:
    return " or ".join(f'"{value}"' for value in values)


def suggestion(wrong: str, known: Collection[str]) -> str:
    """Return the nearest known name as a question, or all of them."""
    # on the error path only: not worth its memory in a running daemon
    from difflib import get_close_matches  # noqa: PLC0415

    near = get_close_matches(wrong, known, n=1)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"known: {', '.join(sorted(known))}" if known else "none exists"


def shown(value: Value, limit: int = 60) -> str:
    """Return a value for a message, as TOML would write it, cut to a line."""
    text = {True: "true", False: "false"}.get(value, "") if isinstance(value, bool) else ""
    text = text or (f'"{value}"' if isinstance(value, str) else str(value))
    text = text.encode("unicode_escape").decode() if not text.isprintable() else text
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
