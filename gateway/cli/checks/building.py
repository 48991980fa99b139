"""Checks of the running gateway and of what it protects, from its own view."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.cli.checks.finding import Finding, fail, ok, warn
from gateway.cli.table import duration
from gateway.control.client import Client
from gateway.errors import ControlError

_LONGEST_LINK_LOSS_S = 900.0


def daemon(socket: Path) -> tuple[dict[str, Any] | None, list[Finding]]:
    """Ask the gateway for its view, for the other checks, too."""
    try:
        with Client(socket) as client:
            view: dict[str, Any] = client.call("GetView")["view"]
    except ControlError as error:
        return None, [fail("daemon", str(error), "systemctl status reed-gateway; journalctl -u reed-gateway")]
    gateway = view["gateway"]
    text = f"{gateway.get('id')} {gateway.get('version')} answers, up {duration(gateway.get('uptime_s'))}"
    return view, [ok("daemon", text)]


def inspect(view: Mapping[str, Any]) -> list[Finding]:
    """Look at everything that the gateway says about itself and the building."""
    return [_clock(view), _link(view), *_sensors(view), *_valves(view), *_meters(view), *_alarms(view)]


def _clock(view: Mapping[str, Any]) -> Finding:
    if view["clock"].get("trusted"):
        return ok("clock", "wall time is trusted")
    return warn("clock", "wall time is not trusted; signed commands may be refused", "check: timedatectl")


def _link(view: Mapping[str, Any]) -> Finding:
    link = view["link"]
    state, since_s = link.get("state"), link.get("since_s") or 0.0
    text = f"{state} for {duration(since_s)}" + (f": {link['detail']}" if link.get("detail") else "")
    if link.get("denied"):
        denied = f"denied by the cloud for {duration(since_s)}: {link['denied']}"
        return fail("link", denied, "ask whoever runs the cloud; messages are kept meanwhile")
    match state:
        case "up":
            return ok("link", text)
        case "off":
            return warn("link", "not configured; alarms stay in this building", "add [link] to have a cloud")
        case _ if since_s > _LONGEST_LINK_LOSS_S:
            return fail("link", text, "see the broker check; messages are kept meanwhile")
        case _:
            return warn("link", text, "messages are kept meanwhile")


def _sensors(view: Mapping[str, Any]) -> list[Finding]:
    bad = {name: sensor for name, sensor in view["sensors"].items() if not sensor["healthy"]}
    if not bad:
        return [ok("sensors", f"all {len(view['sensors'])} healthy")]
    advice = "check its battery, place and key"
    return [fail("sensors", f"{name}: {_ailment(sensor)}", advice) for name, sensor in bad.items()]


def _ailment(sensor: Mapping[str, Any]) -> str:
    seen_s = sensor["last_seen_s_ago"]
    seen = "never seen" if seen_s is None else f"last seen {duration(seen_s)} ago"
    return f"{', '.join(sensor['faults']) or 'faulty'}, {seen}"


_VALVE_ADVICE = {
    "fault": "look at the valve; after maintenance: reed-gateway valve lockout {0}, then valve auto {0}",
    "unknown": "look at the valve; then: reed-gateway valve close {0}, or open {0}",
    "out_of_service": "when the work is done: reed-gateway valve auto {0}",
}


def _valves(view: Mapping[str, Any]) -> list[Finding]:
    bad = [
        fail(
            "valves",
            f"{name}: {valve['state'].replace('_', ' ')}",
            _VALVE_ADVICE[valve["state"]].format(name),
        )
        for name, valve in view["valves"].items()
        if valve["state"] in _VALVE_ADVICE
    ]
    return bad or [ok("valves", f"all {len(view['valves'])} ready")]


def _meters(view: Mapping[str, Any]) -> list[Finding]:
    meters = view["meters"]
    if not meters:
        return []
    advice = "look at its line: reed-gateway alarms; compare with the meter itself"
    deaf = [
        fail("meters", f"{name}: cannot be heard", advice)
        for name, meter in meters.items()
        if meter["state"] == "unknown"
    ]
    return deaf or [ok("meters", f"all {len(meters)} heard")]


def _alarms(view: Mapping[str, Any]) -> list[Finding]:
    found = []
    for alarm in view["alarms"]:
        text = f"{alarm['id']}: {alarm['detail'] or alarm['state'].replace('_', ' ')}"
        make = warn if alarm["class"] == "supervisory" else fail
        found.append(make(alarm["class"], text, "see: reed-gateway alarms"))
    return found or [ok("alarms", "none")]
