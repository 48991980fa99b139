"""What a configuration that came from afar may not do: protect less than the one in force.

A person at the building may do all of it, by editing the file. Whoever signs configurations for many
buildings sees none of them: how things are wired, who the cloud is and what the button does stay as they are,
and what was protected stays protected (protected.py). More sensors, zones, valves and rules may come, but no
button: it could hold a valve open.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Final

from gateway.config import alias, lowering
from gateway.config.lowering import Judge
from gateway.config.model import Config, SensorConfig
from gateway.config.protected import HARMLESS, JUDGED, NAME, WIRED
from gateway.link.config import Config as LinkConfig

TABLES: Final = ("gateway", "bluetooth", "store", "control", "identity", "update", "indicator")
"""Parts of Config that are there in any case. `board` and `link` may be another, or none."""

_SITE: Final = (("sensor", "sensors"), ("zone", "zones"), ("meter", "meters"), ("flow_rule", "flow_rules"))
_LINES: Final = (("valve", "valves"), ("meter", "meters"), ("serial", "serial"), ("adc", "adc"))

MOST_THINGS: Final = 500
"""Sensors, zones, rules… each: more than a large building has, few enough to be judged in no time."""

OF_EVERY_SENSOR: Final[Mapping[str, Judge]] = {"every_s": lowering.at_most(5.0)}
"""Keys of sensor drivers that are no wiring; all others are how a sensor is connected, and stay."""


def lowered(old: Config, new: Config) -> list[str]:
    """Return every way in which `new` protects less than `old`, as "key: what has changed"; empty if in none.

    Args:
        old: In force.
        new: Valid; read as if it lay in the folder of `old`.
    """
    return [*_tables(old, new), *_site(old, new), *sorted(alias.lines(old, new))]


def _tables(old: Config, new: Config) -> Iterator[str]:
    for name in TABLES:
        yield from _compared(name, getattr(old, name), getattr(new, name))
    yield from _compared("override", old.site.override, new.site.override)
    if type(old.board) is type(new.board):
        yield from _compared("board", old.board, new.board)
    else:
        yield "board.kind: changed; it must be as it is wired"
    yield from _links(old.link, new.link)


def _links(old: LinkConfig | None, new: LinkConfig | None) -> Iterator[str]:
    if old is None and new is not None:
        yield "link: added; who the cloud is, is decided at the building"
    elif old is not None and new is None:
        yield "link: removed; alarms would stay in the building"
    elif old is not None and new is not None:
        yield from _compared("link", old, new)


def _site(old: Config, new: Config) -> Iterator[str]:
    for key, name in _SITE:
        yield from _all(key, getattr(old.site, name), getattr(new.site, name))
    yield from _all("valve", old.site.valves, new.site.valves)
    for key, name in _LINES:
        yield from _both(key, getattr(old, name), getattr(new, name))
    yield from _all("button", old.site.buttons, new.site.buttons)
    yield from _both("button", old.buttons, new.buttons)
    for name in new.site.buttons.keys() - old.site.buttons.keys():
        yield f"button.{name}: added; it could hold a valve open"
    for name in old.sensors.keys() & new.sensors.keys():
        yield from _connected(f"sensor.{name}", old.sensors[name], new.sensors[name])
    yield from _quorums(old, new)


def _all(key: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    """Compare what is in both, and name what is gone."""
    for name in old:
        if name not in new:
            yield f"{key}.{name}: removed"
    if len(new) > max(len(old), MOST_THINGS):
        yield f"{key}: {len(new)} of them; at most {MOST_THINGS} from afar"
    for name in new.keys() - old.keys():
        problem = NAME("", getattr(new[name], "name", ""))
        if problem:
            yield f"{key}.{name}.name: {problem}"
    yield from _both(key, old, new)


def _both(key: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    for name, table in old.items():
        if name in new:
            yield from _compared(f"{key}.{name}", table, new[name])


def _quorums(old: Config, new: Config) -> Iterator[str]:
    """With a healthy sensor more, one in trouble no longer makes a single wet one enough."""
    for name, zone in old.site.zones.items():
        after = new.site.zones.get(name)
        if after is not None and after.quorum > 1:
            more = sorted(set(after.sensors) - set(zone.sensors))
            if more:
                yield f"zone.{name}.sensors: with {', '.join(more)}, and a quorum of {after.quorum}"


def _connected(where: str, old: SensorConfig, new: SensorConfig) -> Iterator[str]:
    if type(old.config) is type(new.config):  # else SensorSpec.kind says so
        yield from _compared(where, old.config, new.config, OF_EVERY_SENSOR)


def _compared(
    where: str, old: object, new: object, judged: Mapping[str, Judge] | None = None
) -> Iterator[str]:
    """Compare two tables of one class, key by key."""
    judges = JUDGED.get(type(old), {}) if judged is None else judged
    harmless = HARMLESS.get(type(old), frozenset())
    for field in dataclasses.fields(old):  # type: ignore[arg-type]  # every table is a dataclass
        if field.name not in harmless:
            judge = judges.get(field.name, WIRED)
            problem = judge(getattr(old, field.name), getattr(new, field.name))
            if problem:
                yield f"{where}.{field.name}: {problem}"
