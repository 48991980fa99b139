"""The health gate: is protection as it was before the update?

Before anything is changed `baseline` writes down what works, in a few words that fit the record on disk;
afterwards `judge` compares. Only what protects this building counts: a cloud that is gone is told, and is no
reason to go back, since its absence is seldom the update's doing, and the former version would not mend it.
What did not work before is not asked for, so that a broken sensor cannot hold all updates up.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.domain.model import Json

CORE_LATE_S = 5.0
"""The core serves its deadlines within milliseconds; later than this it does not tick."""

SPEAKS_WITHIN_S = 60.0
"""A sender that had spoken within this time speaks often enough to be waited for; one that speaks each
hour does not, and is judged by its health alone. A wired contact speaks at each start."""

_UNREADABLE = frozenset({"unknown", "fault"})
_LINES = frozenset({"coil-failed", "both-switches", "switch-implausible", "fail-to-open"})
"""What a valve raises when its lines do not do what they should."""

_NOT_OURS = frozenset({"adapter/certificate", "adapter/tpm"})
"""Troubles that time brings, or that `signs` judges."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the health gate says now.

    Args:
        missed: What is not as before, one phrase each; empty if protection is as it was.
        cloud: "as before", or how it differs. Never a reason to go back.
    """

    missed: tuple[str, ...]
    cloud: str

    @property
    def healthy(self) -> bool:
        """Protection is as before."""
        return not self.missed


def baseline(view: Mapping[str, Json], *, signs: bool | None = None) -> dict[str, Json]:
    """Return what works now, as JSON.

    Args:
        view: As GetView gives it.
        signs: The TPM has just signed; None: nobody asked, the link's word counts.
    """
    link = _table(view, "link")
    return {
        "sensors": {name: _asked_of(sensor) for name, sensor in _things(view, "sensors") if _well(sensor)},
        "valves": [name for name, valve in _things(view, "valves") if valve.get("state") not in _UNREADABLE],
        "zones": [name for name, _ in _things(view, "zones")],
        "meters": [name for name, meter in _things(view, "meters") if meter.get("state") != "unknown"],
        "flow_rules": [name for name, _ in _things(view, "flow_rules")],
        "troubles": [*_troubles(view)],
        "store": _table(view, "store").get("state") == "ok",
        "tpm": link.get("key") == "tpm" if signs is None else signs,
        "link": link.get("state") == "up",
    }


def judge(
    before: Mapping[str, Json],
    view: Mapping[str, Json],
    *,
    signs: bool | None,
    configured_away: bool = False,
) -> Verdict:
    """Compare with what worked before.

    Args:
        before: What `baseline` returned; empty if the gateway did not run before: then running is enough.
        view: As GetView gives it now.
        signs: The TPM has just signed; None: nobody asked.
        configured_away: The update is a configuration: what it no longer names is not missed here
            (config.limits has judged that).
    """
    if not before:
        return Verdict((*_core(view),), _cloud(before, view))
    missed = [
        *_core(view),
        *(() if configured_away else _gone(before, view)),
        *_sensors(before, view),
        *_valves(before, view),
        *_meters(before, view),
        *_new_troubles(before, view),
        *_store(before, view),
    ]
    if before.get("tpm") is True and signs is False:
        missed.append("the TPM does not sign")
    return Verdict(tuple(missed), _cloud(before, view))


# --- one part each --------------------------------------------------------------------------------------


def _core(view: Mapping[str, Json]) -> Iterator[str]:
    gateway = _table(view, "gateway")
    late_s = gateway.get("core_late_s", 0.0)
    if not gateway:
        yield "the gateway tells nothing of itself"
    elif not isinstance(late_s, int | float) or late_s > CORE_LATE_S:
        yield f"the core does not tick: it is late by {late_s} s"


def _gone(before: Mapping[str, Json], view: Mapping[str, Json]) -> Iterator[str]:
    words = {"sensors": "sensor", "valves": "valve", "zones": "zone", "meters": "meter", "flow_rules": "rule"}
    for key, word in words.items():
        present = _table(view, key)
        yield from (f"{word} {name} is gone" for name in _names(before, key) if name not in present)


def _sensors(before: Mapping[str, Json], view: Mapping[str, Json]) -> Iterator[str]:
    asked = _table(before, "sensors")
    for name, sensor in _things(view, "sensors"):
        if name not in asked:
            continue
        is_unheard = asked[name] == "speaks" and sensor.get("last_seen_s_ago") is None
        if is_unheard and not sensor.get("faults"):
            yield f"sensor {name} is silent"
        elif is_unheard or not _well(sensor):
            yield f"sensor {name} is not healthy{_because(sensor.get('faults'))}"


def _valves(before: Mapping[str, Json], view: Mapping[str, Json]) -> Iterator[str]:
    asked = _names(before, "valves")
    for name, valve in _things(view, "valves"):
        if name in asked and valve.get("state") in _UNREADABLE:
            yield f"valve {name} cannot be read: it is {valve['state']}"


def _meters(before: Mapping[str, Json], view: Mapping[str, Json]) -> Iterator[str]:
    asked = _names(before, "meters")
    for name, meter in _things(view, "meters"):
        if name in asked and meter.get("state") == "unknown":
            yield f"meter {name} cannot be heard"


def _new_troubles(before: Mapping[str, Json], view: Mapping[str, Json]) -> Iterator[str]:
    known = _names(before, "troubles")
    for alarm_id, detail in _troubles(view).items():
        if alarm_id not in known:
            yield f"new trouble {alarm_id}: {detail}".rstrip(": ")


def _store(before: Mapping[str, Json], view: Mapping[str, Json]) -> Iterator[str]:
    store = _table(view, "store")
    if before.get("store") is True and store.get("state") != "ok":
        yield f"the store cannot be written: {store.get('detail') or store.get('state', 'it says nothing')}"


def _cloud(before: Mapping[str, Json], view: Mapping[str, Json]) -> str:
    link = _table(view, "link")
    is_up = link.get("state") == "up"
    if is_up == (before.get("link") is True):
        return "as before"
    if is_up:
        return "connected, and was not before"
    return f"lost: {link.get('denied') or link.get('detail') or 'no connection yet'}"


# --- reading what may be damaged ------------------------------------------------------------------------


def _well(sensor: Mapping[str, Json]) -> bool:
    return sensor.get("healthy") is True


def _asked_of(sensor: Mapping[str, Json]) -> Json:
    """Return what the update must bring back: "speaks", or only "healthy"."""
    ago_s = sensor.get("last_seen_s_ago")
    if not isinstance(ago_s, int | float):
        return "healthy"
    is_frequent = sensor.get("supervised") is not True or ago_s <= SPEAKS_WITHIN_S
    return "speaks" if is_frequent else "healthy"


def _troubles(view: Mapping[str, Json]) -> dict[str, str]:
    """Return what is wrong with our own parts and with the lines of valves, by alarm."""
    alarms = view.get("alarms")
    found: dict[str, str] = {}
    for alarm in alarms if isinstance(alarms, list) else ():
        if not isinstance(alarm, dict) or alarm.get("active") is not True:
            continue
        alarm_id = str(alarm.get("id"))
        if alarm_id not in _NOT_OURS and (alarm.get("kind") == "adapter" or alarm.get("kind") in _LINES):
            found[alarm_id] = str(alarm.get("detail", ""))
    return found


def _because(faults: Json) -> str:
    return f": {'; '.join(str(fault) for fault in faults)}" if isinstance(faults, list) and faults else ""


def _table(table: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def _things(view: Mapping[str, Json], key: str) -> Iterator[tuple[str, Mapping[str, Json]]]:
    for name, thing in _table(view, key).items():
        if isinstance(thing, dict):
            yield name, thing


def _names(before: Mapping[str, Json], key: str) -> Iterable[str]:
    value = before.get(key)
    return [str(name) for name in value] if isinstance(value, list | dict) else []
