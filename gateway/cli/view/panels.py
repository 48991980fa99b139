"""The parts of the live view, each a table that fits the lines it is given, most urgent rows first.

Every state is a word; colour only repeats it. Nothing here knows a clock, a socket or a terminal.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gateway.cli.message import sentence, when
from gateway.cli.table import alarm_state, amount, brief, duration, wetness

STYLE = {
    "alarm": "bold white on red",
    "supervisory": "bold black on yellow",
    "trouble": "yellow",
    "normal": "green",
    "wet": "bold red",
    "confirming": "bold red",
    "test": "cyan",
    "dry": "green",
    "fault": "bold red",
    "open": "",
    "closed": "cyan",
    "closing": "bold cyan",
    "opening": "bold",
    "up": "green",
    "down": "bold red",
    "DENIED": "bold white on red",
}

_ZONES_FIRST = ("alarm", "confirming", "wet", "test", "dry")
_CLASSES = ("alarm", "supervisory", "trouble")
_FRAME_LINES = 2

Row = Sequence[RenderableType]


def zones(view: Mapping[str, Any], lines: int) -> Panel:
    """Return the zones, the ones in alarm first."""
    ordered = sorted(view["zones"].items(), key=lambda item: (_rank(_ZONES_FIRST, item[1]["state"]), item[0]))
    rows = [
        (Text(zone["name"] or zone_id), _word(zone["state"]), Text(_zone_note(zone)))
        for zone_id, zone in ordered
    ]
    return _panel("zones", rows, lines, grows=2)


def _zone_note(zone: Mapping[str, Any]) -> str:
    if len(zone["wet"]) > 1:
        return f"{len(zone['wet'])} of {len(zone['sensors'])} wet"
    if zone["wet"]:
        return f"wet: {zone['wet'][0]}"
    short = len(zone["sensors"]) - zone["healthy"]
    return f"{short} not healthy" if short else "latched" * (zone["latched"] and zone["state"] == "alarm")


def valves(view: Mapping[str, Any], lines: int) -> Panel:
    """Return the valves and the meters; a valve that moves shows how far it should be by now."""
    alerts = {meter_id: _alert(view, meter_id, meter) for meter_id, meter in view["meters"].items()}
    rows = [_meter(meter_id, view["meters"][meter_id], why) for meter_id, why in alerts.items() if why]
    rows += _valves(view)
    rows += [_meter(meter_id, view["meters"][meter_id], "") for meter_id, why in alerts.items() if not why]
    return _panel("valves, water" if alerts else "valves", rows, lines, grows=2)


def _alert(view: Mapping[str, Any], meter_id: str, meter: Mapping[str, Any]) -> str:
    """Return why somebody should look at a meter, in 15 columns, or ""."""
    rules = [rule for rule in view["flow_rules"].values() if rule["meter"] == meter_id]
    closes_s = [rule["closes_in_s"] for rule in rules if rule["closes_in_s"] is not None]
    if meter["still_flowing"]:
        return "THROUGH A VALVE"
    if closes_s:
        return f"closes in {min(closes_s):.0f} s"
    if any(rule["state"] in ("warning", "alarm") for rule in rules):
        return "too much"
    return "not heard" if meter["state"] == "unknown" else ""


def _meter(meter_id: str, meter: Mapping[str, Any], why: str) -> Row:
    word = {"flowing": "flows", "none": "still"}.get(meter["state"], "?")
    calm = f"{meter['l_per_min']:.3g} l/min" if word == "flows" else f"{amount(meter['day_litres'])} today"
    style = STYLE["fault"] if why else ""
    return Text(meter["name"] or meter_id), Text(word, style), Text(why or calm, style)


def _valves(view: Mapping[str, Any]) -> list[Row]:
    rows: list[Row] = []
    for valve_id, valve in sorted(view["valves"].items(), key=lambda item: _valve_rank(item[1])):
        note: RenderableType = Text(_valve_note(valve))
        if valve["progress_percent"] is not None:
            note = ProgressBar(total=100, completed=min(100, valve["progress_percent"]), width=12)
        style = STYLE["fault"] if valve["closure"] == "passing" else STYLE.get(valve["state"], "yellow")
        rows.append((Text(valve["name"] or valve_id), Text(valve["state"].replace("_", " "), style), note))
    return rows


def _valve_note(valve: Mapping[str, Any]) -> str:
    """Say who rules the valve, and how it is known to be closed, in 15 columns."""
    match valve["override"]:
        case {"mode": "countdown", "remaining_s": float(remaining_s)}:
            return f"closes in {remaining_s:.0f} s"
        case {"mode": mode, "remaining_s": remaining_s}:
            return f"button, {mode if remaining_s is None else brief(remaining_s)}"
        case _:
            return ", ".join(word for word in (valve["authority"], valve["closure"]) if word)


def _valve_rank(valve: Mapping[str, Any]) -> int:
    return _rank(("fault", "unknown", "closing", "opening", "testing", "closed", "open"), valve["state"])


def sensors(view: Mapping[str, Any], lines: int) -> Panel:
    """Return the sensors: wet ones, then those in trouble."""
    ordered = sorted(
        view["sensors"].items(), key=lambda item: (not item[1]["wet"], item[1]["healthy"], item[0])
    )
    rows = [
        (
            Text(sensor["name"] or sensor_id),
            Text(wetness(sensor["wet"]), STYLE["wet"] if sensor["wet"] else "green" * sensor["healthy"]),
            Text(_signs_of_life(sensor), "dim" if sensor["healthy"] else STYLE["trouble"]),
        )
        for sensor_id, sensor in ordered
    ]
    return _panel("sensors", rows, lines, grows=2)


def _signs_of_life(sensor: Mapping[str, Any]) -> str:
    faults = "" if sensor["healthy"] else ", ".join(sensor["faults"]) or "faulty"
    seen = "not heard" if sensor["last_seen_s_ago"] is None else duration(sensor["last_seen_s_ago"])
    battery = "" if sensor["battery_percent"] is None else f"{sensor['battery_percent']} %"
    return "  ".join(part for part in (faults, seen, battery) if part)


def alarms(view: Mapping[str, Any], lines: int) -> Panel:
    """Return what is not normal, the three classes apart."""
    ordered = sorted(
        view["alarms"],
        key=lambda alarm: (
            _rank(_CLASSES, alarm["class"]),
            alarm["state"] == "acknowledged",
            -alarm["raised_s_ago"],
        ),
    )
    rows = [
        (
            Text(alarm["class"].upper(), STYLE.get(alarm["class"], "")),
            Text(alarm["id"], overflow="ellipsis", no_wrap=True),
            Text(alarm_state(alarm), "dim" if alarm["state"] == "acknowledged" else ""),
        )
        for alarm in ordered
    ]
    counts = [f"{sum(alarm['class'] == cls for alarm in ordered)} {cls}" for cls in _CLASSES]
    return _panel(f"alarms: {', '.join(counts)}", rows, lines, grows=1, style="red" if rows else "dim")


def events(messages: Sequence[Mapping[str, Any]], lines: int) -> Panel:
    """Return the last messages, the newest at the bottom."""
    room = max(1, lines - _FRAME_LINES)
    rows = [
        (Text(when(message).rpartition(" ")[2], "dim"), Text(_said(message))) for message in messages[-room:]
    ]
    return _panel("last events", rows, lines, grows=1)


def _said(message: Mapping[str, Any]) -> str:
    plain = message["kind"] in ("sensor", "valve", "alarm", "restarted")
    return sentence(message) if plain else f"{message['kind']} {sentence(message)}"


def _panel(title: str, rows: Sequence[Row], lines: int, *, grows: int, style: str = "dim") -> Panel:
    """Frame the rows; column `grows` takes the room that the others leave."""
    room = max(1, lines - _FRAME_LINES)
    table = Table.grid(padding=(0, 1), expand=True)
    shown = rows if len(rows) <= room else rows[: room - 1]
    for number in range(len(rows[0]) if rows else 1):
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1 if number == grows else None)
    for row in shown:
        table.add_row(*row)
    if len(shown) < len(rows):
        table.add_row(Text(f"and {len(rows) - len(shown)} more", "dim"))
    return Panel(table, title=title, title_align="left", height=lines, padding=(0, 1), border_style=style)


def _word(state: str) -> Text:
    return Text(state, STYLE.get(state, ""))


def _rank(order: Sequence[str], state: str) -> int:
    return order.index(state) if state in order else len(order)
