"""From a TOML table to a frozen dataclass: the fields are the keys, their types say what is allowed.

Problems are collected, so that an operator sees all of them at once.
"""

import dataclasses
import difflib
from collections.abc import Collection, Mapping
from typing import Any, Literal, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

# Any: TOML values and the annotations of arbitrary dataclasses are what this module turns into types.
Table: TypeAlias = Mapping[str, Any]
Hint: TypeAlias = Any
Value: TypeAlias = Any

_WRONG = object()
_WORDS: dict[object, str] = {
    bool: "true or false",
    str: "a string",
    int: "a whole number",
    float: "a number",
    tuple[str, ...]: "a list of strings",
}


class Reader:
    """Reads tables and keeps every problem found."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def add(self, key: str, problem: str) -> None:
        """Note a problem."""
        self.problems.append(f"{key}: {problem}")

    def build(self, cls: type[T], table: Table, where: str = "") -> T | None:
        """Return an instance of the dataclass, or None after noting why not.

        Args:
            cls: Its fields are the keys; a field that is a dataclass is a table of its own.
            table: As parsed.
            where: Dotted name of the table, for messages; "" is the whole file.
        """
        before = len(self.problems)
        hints = get_type_hints(cls)
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # T is a dataclass
        self._refuse_unknown(table, names, where)
        values = {
            name: self._taken(hints[name], table[name], _dotted(where, name))
            for name in names
            if name in table
        }
        if len(self.problems) > before:
            return None
        try:
            return cls(**values)
        except ValueError as error:
            self.add(where or "cloud.toml", str(error))
        return None

    def _refuse_unknown(self, table: Table, known: Collection[str], where: str) -> None:
        for key in table:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
                self.add(_dotted(where, key), f"unknown key; {hint}")

    def _taken(self, hint: Hint, value: Value, key: str) -> Value:
        if dataclasses.is_dataclass(hint):
            if isinstance(value, Mapping):
                return self.build(hint, value, key)  # type: ignore[arg-type]  # a class, not an instance
            self.add(key, f"{_shown(value)} is not allowed; it is a table: [{key}]")
            return None
        converted = _converted(hint, value)
        if converted is _WRONG:
            self.add(key, f"{_shown(value)} is not allowed; give {_allowed(hint)}")
        return converted


def _converted(hint: Hint, value: Value) -> Value:
    if _origin(hint) is Literal:
        return value if isinstance(value, str) and value in get_args(hint) else _WRONG
    if hint is float:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else _WRONG
    if hint is int:
        return value if isinstance(value, int) and not isinstance(value, bool) else _WRONG
    if hint in (bool, str):
        return value if isinstance(value, hint) else _WRONG
    if hint == tuple[str, ...]:
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
        return tuple(value) if fits else _WRONG
    raise TypeError(f"no TOML value can be a {hint}")


def _origin(hint: Hint) -> object:
    """Return what a generic type was made of; typeshed cannot name its type."""
    return get_origin(hint)


def _allowed(hint: Hint) -> str:
    if _origin(hint) is Literal:
        return " or ".join(f'"{option}"' for option in get_args(hint))
    return _WORDS[hint]


def _shown(value: Value) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004  # fits a line with the rest


def _dotted(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
