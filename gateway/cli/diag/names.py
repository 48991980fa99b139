"""Names of the site as salted hashes: a name has one hash in all of a bundle, and another in the next."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_BY_NAME = {"zones", "sensors", "valves", "meters", "flow_rules", "buttons"} | {
    "zone",
    "sensor",
    "valve",
    "button",
    "meter",
    "flow_rule",
    "serial",
    "adc",
}
"""Tables whose keys are names."""

_PERSON = re.compile(r"[\w.+-]+@[\w.-]+\.\w+")
_DIGITS = 8

HIDDEN_CAUSE = "<what a person wrote>"
_CAUSE = re.compile(r"(\bby [a-z_]+:\S+: ).+")
"""As the log and the detail of a lockout have it: "by local:uid:1000: the plumber is here"."""

_PLAIN_LINE = re.compile(r"(?:[\w/-]+/)?(?:GPIO)?\d+")
"""Of a board; any other line has been given a name by people."""


class Names:
    """Replaces names by hashes.

    Args:
        names: Ids, names for people, hosts.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._salt = secrets.token_bytes(32)
        known = sorted({name for name in names if name}, key=len, reverse=True)
        either = "|".join(map(re.escape, known)) or r"(?!)"
        self._known = re.compile(rf"(?<![\w-])(?:{either})(?![\w-])")

    def text(self, text: str) -> str:
        """Return a text with names and mail addresses replaced."""
        without_causes = _CAUSE.sub(rf"\1{HIDDEN_CAUSE}", text)
        return self._known.sub(self._hash, _PERSON.sub(self._hash, without_causes))

    # Any: decoded JSON
    def value(self, value: Any, key: str = "") -> Any:  # noqa: ANN401
        """Return a value of JSON with all names in it replaced; words of its own vocabulary stay."""
        match value:
            case str():
                return HIDDEN_CAUSE if key == "cause" and value else self.text(value)
            case list():
                return [self.value(each, key) for each in value]
            case dict():
                rename = self.text if key in _BY_NAME else str
                return {rename(name): self.value(each, name) for name, each in value.items()}
            case _:
                return value

    def _hash(self, found: re.Match[str]) -> str:
        digest = hmac.new(self._salt, found[0].encode(), hashlib.sha256).hexdigest()
        return f"name-{digest[:_DIGITS]}"


# Any: a TOML document or a view as it came
def names_in(*documents: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names that stand in configuration and view: ids, what `name` says, hosts, the gateway."""
    for document in documents:
        for table, entries in document.items():
            if not isinstance(entries, dict):
                continue
            yield from _of_table(entries)
            if table in _BY_NAME:
                for name, entry in entries.items():
                    yield name
                    yield from _of_table(entry)


def _of_table(table: object) -> Iterator[str]:
    if isinstance(table, dict):
        for key, value in table.items():
            is_line = key.endswith("line") and not _PLAIN_LINE.fullmatch(str(value))
            if isinstance(value, str) and (is_line or key in ("id", "name", "host")):
                yield value
