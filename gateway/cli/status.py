"""`reed-gateway status`: the building and the gateway on one page."""

import argparse
from typing import Any

from gateway.cli.access import add_options, get_view, show_json
from gateway.cli.alarms import alarm_table
from gateway.cli.meters import meter_table, rule_table
from gateway.cli.table import duration, override, table, valve_state


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "status", help="zones, valves and alarms", description="Show zones, valves and alarms."
    )
    add_options(parser)
    parser.add_argument("--check", action="store_true", help="exit with 1 unless everything is normal")


def run(args: argparse.Namespace) -> int:
    """Print the page; 1 with --check if anything is not normal."""
    view = get_view(args)
    if args.json:
        show_json(view)
    else:
        tables = (zone_table, valve_table, meter_table, rule_table, alarm_table if view["alarms"] else None)
        parts = [headline(view), *(make(view) for make in tables if make is not None)]
        print("\n\n".join(part for part in parts if part))
    return int(args.check and view["state"] != "normal")


def headline(view: dict[str, Any]) -> str:
    """Return the gateway in one line."""
    gateway = view["gateway"]
    facts = [
        f"{gateway.get('id', '?')}: {view['state'].upper()}",
        f"running for {duration(gateway.get('uptime_s'))}",
        link_words(view["link"]),
        "clock trusted" if view["clock"].get("trusted") else "clock NOT trusted",
        str(view["occupancy"]),
        f"version {gateway.get('version', '?')}",
        *update_words(view.get("update", {})),
    ]
    return ", ".join(facts)


def update_words(update: dict[str, Any]) -> list[str]:
    """Return how far an update has come, unless there is none or it went well."""
    state = update.get("state", "none")
    if state in ("none", "succeeded"):
        return []
    percent = f" {update['percent']} %" if update.get("percent") else ""
    waits = f" to {update['waits_for']}" if update.get("waits_for") else ""
    why = f" ({update['detail'] or update['code']})" if update.get("detail") or update.get("code") else ""
    named = f"update {update.get('kind', '')} {update.get('version', '')}"
    return [f"{named} {state.replace('_', ' ')}{waits}{percent}{why}"]


def link_words(link: dict[str, Any]) -> str:
    """Return how it stands with the cloud, and why if it does not stand well."""
    since = f" for {duration(link['since_s'])}" if link.get("since_s") is not None else ""
    if link.get("denied"):
        return f"link DENIED by the cloud{since} ({link['denied']})"
    why = f" ({link['detail']})" if link.get("state") == "down" and link.get("detail") else ""
    return f"link {link.get('state', '?')}{since}{why}"


def zone_table(view: dict[str, Any]) -> str:
    """Return the zones, or "" if there are none."""
    rows = [
        [
            zone_id,
            zone["state"] + (" (latched)" if zone["latched"] and zone["state"] == "alarm" else ""),
            ", ".join(zone["wet"]) or "-",
            _sensors(view, zone),
            "notify" if zone["action"] == "notify" else f"close {', '.join(zone['valves'])}",
        ]
        for zone_id, zone in view["zones"].items()
    ]
    return table(["ZONE", "STATE", "WET", "SENSORS", "ON A LEAK"], rows) if rows else ""


def _sensors(view: dict[str, Any], zone: dict[str, Any]) -> str:
    """Return how far the sensors of a zone can be relied on."""
    facts = [f"{zone['healthy']} of {len(zone['sensors'])} healthy"]
    unsupervised = sum(not view["sensors"][sensor_id]["supervised"] for sensor_id in zone["sensors"])
    facts += [f"{unsupervised} unsupervised"] if unsupervised else []
    return ", ".join([*facts, f"quorum {zone['quorum']}"])


def valve_table(view: dict[str, Any]) -> str:
    """Return the valves, or "" if there are none."""
    rows = [
        [
            valve_id,
            valve_state(valve),
            valve["authority"],
            override(valve) or "-",
            duration(valve["travel_s"]),
            valve["kind"].replace("_", " "),
        ]
        for valve_id, valve in view["valves"].items()
    ]
    return table(["VALVE", "STATE", "RULED BY", "OVERRIDE", "TRAVEL", "KIND"], rows) if rows else ""
