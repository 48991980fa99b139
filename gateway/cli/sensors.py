"""`reed-gateway sensors`: every sensor, the ones in trouble first."""

import argparse
from typing import Any

from gateway.cli.access import add_options, get_view, show_json
from gateway.cli.table import duration, place, table, wetness


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "sensors", help="every sensor and its health", description="Show every sensor and its health."
    )
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the sensors."""
    sensors = get_view(args)["sensors"]
    if args.json:
        show_json(sensors)
    elif sensors:
        print(sensor_table(sensors))
    else:
        print("no sensors are configured")
    return 0


def sensor_table(sensors: dict[str, dict[str, Any]]) -> str:
    """Return the sensors: in trouble first, then wet ones, then by name."""
    ordered = sorted(sensors.items(), key=lambda item: (item[1]["healthy"], not item[1]["wet"], item[0]))
    rows = [
        [
            sensor_id,
            wetness(sensor["wet"]) + place(sensor.get("distance_m")),
            "ok" if sensor["healthy"] else ", ".join(sensor["faults"]) or "faulty",
            duration(sensor["last_seen_s_ago"]),
            "-" if sensor["battery_percent"] is None else f"{sensor['battery_percent']} %",
            "-" if sensor["temperature_degc"] is None else f"{sensor['temperature_degc']:.1f} °C",
            sensor["kind"],
            _trust(sensor),
        ]
        for sensor_id, sensor in ordered
    ]
    header = ["SENSOR", "WATER", "HEALTH", "LAST SEEN", "BATTERY", "TEMP", "KIND", "NOTES"]
    return table(header, rows)


def _trust(sensor: dict[str, Any]) -> str:
    notes = ["keyed"] if sensor["keyed"] else []
    notes += [] if sensor["supervised"] else ["unsupervised"]
    notes += ["bypassed"] if sensor["bypassed"] else []
    notes += [f"{sensor['rejected']} frames rejected"] if sensor["rejected"] else []
    return ", ".join(notes) or "-"
