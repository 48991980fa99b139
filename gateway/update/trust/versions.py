"""Which of two versions is the older one: the order of Debian's packages (Debian Policy 5.6.12)."""

import re
from typing import Final, TypeAlias

_PIECES: Final = re.compile(r"([^0-9]*)([0-9]*)")
_Number: TypeAlias = tuple[int, str]
"""Length and digits of a number without zeros before it: any length, which int() does not take."""
_Pieces: TypeAlias = list[tuple[list[int], _Number]]

_END: Final = 0
"""A text that ends comes before any letter, and after "~"."""


def older(one: str, other: str) -> bool:
    """Return True if `one` comes before `other`."""
    return _parts(one) < _parts(other)


def _parts(version: str) -> tuple[_Number, _Pieces, _Pieces]:
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isascii() or not epoch.isdigit():
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return _number(epoch), _pieces(upstream), _pieces(revision)


def _pieces(text: str) -> _Pieces:
    """Return letters and numbers in turn; numbers count as numbers."""
    found = [
        ([_weight(letter) for letter in letters] + [_END], _number(number))
        for letters, number in _PIECES.findall(text)
        if letters or number
    ]
    return [*found, ([_END], _number(""))]


def _number(digits: str) -> _Number:
    digits = digits.lstrip("0")
    return len(digits), digits


def _weight(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isascii() and letter.isalpha() else ord(letter) + 256
