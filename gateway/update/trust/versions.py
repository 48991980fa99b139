"""Which of two versions is the older one: the order of Debian's packages (Debian Policy 5.6.12)."""

import re
from typing import Final

_PIECES: Final = re.compile(r"(\D*)(\d*)")
_END: Final = 0
"""A text that ends comes before any letter, and after "~"."""


def older(one: str, other: str) -> bool:
    """Return True if `one` comes before `other`."""
    return _parts(one) < _parts(other)


def _parts(version: str) -> tuple[int, list[tuple[list[int], int]], list[tuple[list[int], int]]]:
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isascii() or not epoch.isdigit():
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return int(epoch), _pieces(upstream), _pieces(revision)


def _pieces(text: str) -> list[tuple[list[int], int]]:
    """Return letters and numbers in turn; numbers count as numbers."""
    found = [
        ([_weight(letter) for letter in letters] + [_END], int(number or 0))
        for letters, number in _PIECES.findall(text)
        if letters or number
    ]
    return [*found, ([_END], 0)]


def _weight(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isascii() and letter.isalpha() else ord(letter) + 256
