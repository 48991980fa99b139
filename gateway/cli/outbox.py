"""`reed-gateway outbox`: what waits for the cloud, and how the disk is."""

import argparse
from typing import Any

from gateway.cli.access import add_options, get_view, show_json
from gateway.cli.table import duration, table


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "outbox", help="messages that wait for the cloud", description="Show what waits for the cloud."
    )
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the link and the store's counters."""
    view = get_view(args)
    if args.json:
        show_json({"link": view["link"], "store": view["store"]})
        return 0
    link = view["link"]
    detail = f": {link['detail']}" if link.get("detail") else ""
    print(f"link {link.get('state', '?')} for {duration(link.get('since_s'))}{detail}\n")
    print(table(["COUNTER", "VALUE"], list(counters(view["store"]))))
    return 0


def counters(store: dict[str, Any], prefix: str = "") -> list[list[str]]:
    """Return every number and word of the store's statistics, nested names joined."""
    rows = []
    for name, value in store.items():
        if isinstance(value, dict):
            rows += counters(value, f"{prefix}{name} ")
        else:
            rows.append([f"{prefix}{name}".replace("_", " "), "-" if value in (None, "") else f"{value}"])
    return rows
