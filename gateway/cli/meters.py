"""`reed-gateway meters`: every water meter, and the flow rules that watch it."""

import argparse
from collections.abc import Mapping
from typing import Any

from gateway.cli.access import add_options, get_view, show_json
from gateway.cli.table import amount, duration, flow, table
from gateway.config.period import shown
from gateway.domain.site import Period


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "meters",
        help="every water meter: flow, use, flow rules",
        description="Show every water meter, its flow as exactly as its pulses tell, and the flow rules.",
    )
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the meters and the rules."""
    view = get_view(args)
    if args.json:
        show_json({key: view[key] for key in ("occupancy", "meters", "flow_rules")})
    elif view["meters"]:
        print(meter_table(view))
        if view["flow_rules"]:
            print(f"\n{rule_table(view)}")
    else:
        print("no meters are configured")
    return 0


def meter_table(view: Mapping[str, Any]) -> str:
    """Return the meters, or "" if there are none."""
    rows = [
        [
            meter_id,
            flow(meter) + (", VALVE CLOSED" if meter["still_flowing"] else ""),
            amount(meter["hour_litres"]),
            amount(meter["day_litres"]),
            amount(meter["litres"]),
            "-" if meter["last_pulse_s_ago"] is None else f"{duration(meter['last_pulse_s_ago'])} ago",
            f"{meter['litres_per_pulse']:g} l",
            ", ".join(meter["valves"]) or "-",
        ]
        for meter_id, meter in view["meters"].items()
    ]
    header = ["METER", "FLOW", "THIS HOUR", "TODAY", "TOTAL", "LAST PULSE", "PULSE", "STOPPED BY"]
    return table(header, rows) if rows else ""


def rule_table(view: Mapping[str, Any]) -> str:
    """Return the flow rules, or "" if there are none."""
    rows = [
        [
            rule_id,
            f"{rule['meter']} above {rule['above_l_per_min']:g} l/min for {duration(rule['for_s'])}",
            when(rule),
            rule_state(rule),
            _then(rule, view["meters"]),
        ]
        for rule_id, rule in view["flow_rules"].items()
    ]
    return table(["FLOW RULE", "TOO MUCH", "WHEN", "STATE", "THEN"], rows) if rows else ""


def when(rule: Mapping[str, Any]) -> str:
    """Return in which modes and parts of the week a rule counts."""
    periods = (Period(start_min=start_min, end_min=end_min) for start_min, end_min in rule["periods"])
    return f"{'/'.join(rule['modes'])}, {shown(periods)}"


def rule_state(rule: Mapping[str, Any]) -> str:
    """Return the state of a rule with how long it lasts, or what it leads to."""
    marks = [str(rule["state"])]
    if rule["state"] == "counting" and rule["above_s"] is not None:
        marks = [f"above for {duration(rule['above_s'])}"]
    if rule["closes_in_s"] is not None:
        marks.append(f"closes in {duration(rule['closes_in_s'])}")
    marks += ["latched"] if rule["latched"] else []
    return ", ".join(marks)


def _then(rule: Mapping[str, Any], meters: Mapping[str, Any]) -> str:
    if rule["action"] == "notify":
        return "notify"
    names = ", ".join(meters[rule["meter"]]["valves"]) if rule["meter"] in meters else "its valves"
    warned = f" {duration(rule['pre_alarm_s'])} later" if rule["pre_alarm_s"] else ""
    but = f" (not now: {rule['notify_only']})" if rule["notify_only"] else ""
    return f"close {names}{warned}{but}"
