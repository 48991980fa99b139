"""The gateway in figures, as Prometheus reads them (text format 0.0.4); imported when somebody asks.

Counters count since the start of the daemon, but for those of water, which a meter remembers. Every name
begins with `reed_`: what node_exporter takes from a file must not clash with its own.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from gateway.control.daemon import Daemon
from gateway.domain.alarm.state import AlarmState
from gateway.domain.model import SignalClass
from gateway.domain.update.words import State
from gateway.domain.valve.model import ValveState

View: TypeAlias = Mapping[str, Any]
"""As in org.reed.Gateway.varlink."""

Sample: TypeAlias = tuple[Mapping[str, str], float | int | None]
"""Labels and value; without a value the sample is left out."""

_FRESH_S = 0.5
"""With 200 sensors a text takes 3 ms; nobody scrapes twice a second."""

_SITE_STATES = ("normal", *(cls.value for cls in SignalClass))
_STORE_STATES = ("ok", "failing", "stalled")
_UPDATE_STATES = ("none", *(state.value for state in State))


class Figures:
    """The text, hardly older than now: asking oftener than that costs the loop nothing."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._text = ""
        self._fresh_until_s = 0.0

    def text(self) -> str:
        """Return everything."""
        now_s = time.monotonic()
        if now_s >= self._fresh_until_s:
            self._text = text(self._daemon)
            self._fresh_until_s = now_s + _FRESH_S
        return self._text


def text(daemon: Daemon) -> str:
    """Return everything as it is now."""
    view: View = daemon.view()
    parts = (_gateway(view), _alarms(view), _zones(view), _sensors(view), _valves(view), _meters(view))
    more = (_outbox(view["store"]), _link(view["link"]), _update(view["update"]), _process(daemon))
    return "".join(family for part in (*parts, *more) for family in part)


def family(name: str, kind: str, help_text: str, samples: Iterable[Sample]) -> str:
    """Return a metric with its samples, or "" if it has none.

    Args:
        name: With its unit at the end; of a counter it ends with _total.
        kind: "gauge" or "counter".
        help_text: For people.
        samples: One for each combination of labels.
    """
    lines = [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples if value is not None]
    if not lines:
        return ""
    clean = help_text.replace("\\", r"\\").replace("\n", r"\n")
    return "\n".join([f"# HELP {name} {clean}", f"# TYPE {name} {kind}", *lines, ""])


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _one(value: float | None) -> list[Sample]:
    return [({}, value)]


def _each(name: str, known: Iterable[str], present: Iterable[str]) -> list[Sample]:
    """Return how many there are of each kind; 0 is said, too, so that nothing vanishes from a graph."""
    counts = dict.fromkeys(known, 0)
    for each in present:
        counts[each] = counts.get(each, 0) + 1
    return [({name: each}, count) for each, count in counts.items()]


# --- what they are about ---------------------------------------------------------------------------------


def _gateway(view: View) -> Iterator[str]:
    gateway = view["gateway"]
    named = {"gateway": str(gateway["id"]), "version": str(gateway["version"])}
    yield family("reed_up", "gauge", "The gateway answers.", _one(1))
    yield family("reed_info", "gauge", "Which gateway, and its version; always 1.", [(named, 1)])
    yield family("reed_uptime_seconds", "gauge", "Since the start of the daemon.", _one(gateway["uptime_s"]))
    states = _each("state", _SITE_STATES, [view["state"]])
    yield family("reed_state", "gauge", "1 for the worst class of signal that is present.", states)
    trusted = view["clock"]["trusted"]
    yield family("reed_clock_trusted", "gauge", "1 if wall time can be relied on.", _one(trusted))


def _alarms(view: View) -> Iterator[str]:
    counts = {(cls.value, state.value): 0 for cls in SignalClass for state in AlarmState if state != "normal"}
    for alarm in view["alarms"]:
        found = (alarm["class"], alarm["state"])
        counts[found] = counts.get(found, 0) + 1
    counted = [({"class": cls, "state": state}, count) for (cls, state), count in counts.items()]
    yield family("reed_alarms", "gauge", "Alarms that are not normal, by class and state.", counted)
    present = [
        ({key: alarm[key] for key in ("class", "kind", "subject")}, alarm["active"])
        for alarm in view["alarms"]
    ]
    help_text = "Each alarm that is not normal: 1 if its condition is present, 0 if it only stays."
    yield family("reed_alarm_active", "gauge", help_text, present)


def _zones(view: View) -> Iterator[str]:
    known = ("dry", "confirming", "wet", "alarm", "test")
    states = _each("state", known, (zone["state"] for zone in view["zones"].values()))
    yield family("reed_zones", "gauge", "Zones by state.", states)


def _health(sensor: View) -> str:
    if sensor["bypassed"]:
        return "bypassed"
    return "healthy" if sensor["healthy"] else "faulty"


def _sensors(view: View) -> Iterator[str]:
    sensors = view["sensors"]
    counted = _each("health", ("healthy", "faulty", "bypassed"), map(_health, sensors.values()))
    yield family("reed_sensors", "gauge", "Sensors by health.", counted)
    for name, kind, key, help_text in (
        ("healthy", "gauge", "healthy", "1 if it can be relied on."),
        ("wet", "gauge", "wet", "1 wet, 0 dry; nothing if it has not said so yet."),
        ("last_seen_seconds", "gauge", "last_seen_s_ago", "Since its last sign of life."),
        ("battery_percent", "gauge", "battery_percent", "Its battery."),
        ("temperature_celsius", "gauge", "temperature_degc", "What it measures."),
        ("rejected_total", "counter", "rejected", "Frames that did not count: forged, replayed, unreadable."),
    ):
        samples = [
            ({"sensor": each, "kind": sensor["kind"]}, sensor[key]) for each, sensor in sensors.items()
        ]
        yield family(f"reed_sensor_{name}", kind, help_text, samples)


def _valves(view: View) -> Iterator[str]:
    valves = view["valves"]
    counted = _each("state", ValveState, (valve["state"] for valve in valves.values()))
    yield family("reed_valves", "gauge", "Valves by state.", counted)
    states = [
        ({"valve": each, "state": state}, valve["state"] == state)
        for each, valve in valves.items()
        for state in ValveState
    ]
    yield family("reed_valve_state", "gauge", "1 for the state that a valve is in.", states)
    passing = [({"valve": each}, valve["closure"] == "passing") for each, valve in valves.items()]
    yield family("reed_valve_passing", "gauge", "1 if water flows through a closed valve.", passing)


def _meters(view: View) -> Iterator[str]:
    meters = view["meters"]
    for name, kind, key, help_text in (
        ("water_litres_total", "counter", "litres", "All that it has counted, also before this start."),
        ("flow_litres_per_minute", "gauge", "l_per_min", "The best estimate."),
        ("still_flowing", "gauge", "still_flowing", "1 if one of its valves is closed, and yet water flows."),
    ):
        samples = [({"meter": each}, meter[key]) for each, meter in meters.items()]
        yield family(f"reed_meter_{name}", kind, help_text, samples)


def _outbox(store: View) -> Iterator[str]:
    waiting = [({"channel": channel}, count) for channel, count in store["queued"].items()]
    yield family("reed_outbox_messages", "gauge", "Messages that wait for the cloud.", waiting)
    for name, key, help_text in (
        ("reed_messages_total", "seq", "Messages made."),
        ("reed_outbox_delivered_total", "delivered", "Messages that the cloud has confirmed."),
        ("reed_outbox_evicted_total", "evicted", "Messages given up because there was no room."),
        ("reed_outbox_poisoned_total", "poisoned", "Messages set aside: damaged, or refused by the broker."),
        ("reed_store_quarantined_total", "quarantined", "Times that the store's file was damaged."),
        ("reed_store_commits_total", "commits", "Commits to disk."),
    ):
        yield family(name, "counter", help_text, _one(store[key]))
    yield family("reed_store_bytes", "gauge", "What the store takes on disk.", _one(store["disk_bytes"]))
    yield family("reed_store_max_bytes", "gauge", "What it may take.", _one(store["max_bytes"]))
    ram = _one(store["ram_bytes"])
    yield family("reed_outbox_ram_bytes", "gauge", "Messages that are not on disk yet.", ram)
    commit_s = store["last_commit_ms"] / 1e3
    yield family("reed_store_last_commit_seconds", "gauge", "How long the last commit took.", _one(commit_s))
    states = _each("state", _STORE_STATES, [store["state"]])
    yield family("reed_store_state", "gauge", "1 for the state that the disk is in.", states)
    entries = _one(store["journal"]["entries"])
    yield family("reed_journal_entries", "gauge", "Entries of the journal of actuations.", entries)


def _link(link: View) -> Iterator[str]:
    yield family(
        "reed_link_configured", "gauge", "1 if there is to be a cloud.", _one(link["state"] != "off")
    )
    yield family(
        "reed_link_up", "gauge", "1 if there is a session with the broker.", _one(link["state"] == "up")
    )
    denied = _one(bool(link.get("denied")))
    yield family("reed_link_denied", "gauge", "1 if the cloud turns the gateway away.", denied)
    sessions, failures = _one(link.get("sessions")), _one(link.get("key_failures"))
    yield family("reed_link_sessions_total", "counter", "Attempts to have a session.", sessions)
    yield family(
        "reed_link_key_failures_total", "counter", "Times that our key did not do its part.", failures
    )
    refused = [({"reason": reason}, count) for reason, count in link.get("commands_refused", {}).items()]
    help_text = "Commands from the cloud that were refused."
    yield family("reed_link_commands_refused_total", "counter", help_text, refused)


def _update(update: View) -> Iterator[str]:
    states = _each("state", _UPDATE_STATES, [update["state"]])
    yield family("reed_update_state", "gauge", "1 for the state of the last update.", states)
    about = {key: update[key] for key in ("kind", "version", "from_version", "code")}
    told: list[Sample] = [] if update["state"] == "none" else [(about, 1)]
    yield family("reed_update_info", "gauge", "Which update that is, and its code; always 1.", told)
    percent = _one(update["percent"])
    yield family("reed_update_percent", "gauge", "How far its present state has come.", percent)


def _process(daemon: Daemon) -> Iterator[str]:
    late = _one(round(daemon.core_late_s(), 6))
    yield family("reed_core_late_seconds", "gauge", "By how much the core's next deadline has passed.", late)
    cpu = _one(round(time.process_time(), 3))
    yield family("reed_process_cpu_seconds_total", "counter", "Time on the processor.", cpu)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # counted only
    except OSError:
        return
    memory = _one(pages * os.sysconf("SC_PAGE_SIZE"))
    yield family("reed_process_resident_memory_bytes", "gauge", "Memory in use.", memory)
    yield family("reed_process_open_fds", "gauge", "Open files and sockets.", _one(files))
