"""The present state as messages that every broker takes, pure: a large site needs more than one."""

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.domain.model import Json
from gateway.link.wire import to_json

PART_MAX_BYTES: Final = 96 * 1024


def parts(view: Mapping[str, Json], max_bytes: int = PART_MAX_BYTES) -> list[dict[str, Json]]:
    """Return the bodies of one snapshot: `part` of `parts`, together they hold every entry of `view`.

    A reader merges the objects and joins the lists of all parts.
    """
    if len(to_json(view)) <= max_bytes:
        return [{"part": 1, "parts": 1, **view}]
    bodies: list[dict[str, Json]] = [{}]
    size_bytes = 0
    for section, key, value in _entries(view):
        entry_bytes = len(section) + len(key or "") + len(to_json(value)) + 16
        if size_bytes and size_bytes + entry_bytes > max_bytes:
            bodies.append({})
            size_bytes = 0
        size_bytes += entry_bytes
        _put(bodies[-1], section, key, value)
    return [{"part": number, "parts": len(bodies), **body} for number, body in enumerate(bodies, 1)]


def _entries(view: Mapping[str, Json]) -> Iterator[tuple[str, str | None, Json]]:
    """Yield (section, key, value); key None for a value that stands alone, "" for an entry of a list."""
    for section, value in view.items():
        if isinstance(value, dict):
            yield from ((section, key, entry) for key, entry in value.items())
        elif isinstance(value, list):
            yield from ((section, "", entry) for entry in value)
        else:
            yield section, None, value


def _put(body: dict[str, Json], section: str, key: str | None, value: Json) -> None:
    if key is None:
        body[section] = value
        return
    kept = body.setdefault(section, {} if key else [])
    if isinstance(kept, dict):
        kept[key] = value
    elif isinstance(kept, list):
        kept.append(value)
