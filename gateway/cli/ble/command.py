"""`reed-gateway ble scan|learn`: look around with Bluetooth, and adopt a sensor.

Both listen beside the daemon: BlueZ lets many programs scan at a time.
"""

import argparse
from pathlib import Path

from gateway.cli.access import add_options
from gateway.cli.check_config import DEFAULT_PATH
from gateway.cli.table import seconds

_SCAN_S, _LEARN_S, _WALK_S = 15.0, 120.0, 300.0


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command, its actions and their options."""
    parser = subparsers.add_parser(
        "ble",
        help="find and adopt Bluetooth sensors",
        description="Show the Bluetooth sensors around, or adopt one.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    scan = actions.add_parser(
        "scan",
        help="show what is around, decoded",
        description="Listen for a while and show each leak sensor that was heard. Runs beside the gateway.",
    )
    _add_common(scan, _SCAN_S)
    scan.add_argument("--all", action="store_true", help="show senders that no kind of sensor knows, too")
    scan.add_argument("--json", action="store_true", help="print one JSON object")
    learn = actions.add_parser(
        "learn",
        help="adopt a sensor: into the configuration, then its walk test",
        description="Find a sensor (by address, by getting it wet, or from a list), check its key against "
        "what it sends, write it into the configuration, and walk-test it. What is not given is asked.",
    )
    learn.add_argument("address", nargs="?", metavar="ADDRESS", help="of the sensor, as 54:48:E6:8F:80:A5")
    _add_common(learn, _LEARN_S)
    add_options(learn, as_json=False)
    learn.add_argument("--key", help="its key, 32 hexadecimal digits; needed if it sends encrypted")
    learn.add_argument("--id", help="its id in the configuration")
    learn.add_argument("--name", help="its name for people")
    learn.add_argument("--zone", help="id of the zone that it belongs to")
    secret = learn.add_mutually_exclusive_group()
    secret.add_argument(
        "--secret", action="store_true", default=None, help="keep the key sealed, not in the configuration"
    )
    secret.add_argument("--no-secret", dest="secret", action="store_false", help="do not")
    restart = learn.add_mutually_exclusive_group()
    restart.add_argument(
        "--restart", action="store_true", default=None, help="restart the gateway afterwards"
    )
    restart.add_argument("--no-restart", dest="restart", action="store_false", help="do not")
    walk = learn.add_mutually_exclusive_group()
    walk.add_argument("--walk-test", action="store_true", default=None, help="test it wet and dry afterwards")
    walk.add_argument("--no-walk-test", dest="walk_test", action="store_false", help="do not")
    learn.add_argument("--walk-for", type=seconds, default=_WALK_S, metavar="TIME", help="longest test (5m)")


def _add_common(parser: argparse.ArgumentParser, default_s: float) -> None:
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="FILE", help=f"({DEFAULT_PATH})")
    parser.add_argument(
        "--seconds",
        type=seconds,
        default=default_s,
        metavar="TIME",
        help=f"how long to listen ({default_s:g}s)",
    )
    parser.add_argument("--adapter", metavar="NAME", help="as hci0; BlueZ chooses if not given")


def run(args: argparse.Namespace) -> int:
    """Do what was asked.

    Raises:
        GatewayError: It cannot be done, and why.
    """
    from gateway.cli.ble import learn, scan  # noqa: PLC0415  only one of them, and not for --help

    return scan.run(args) if args.action == "scan" else learn.run(args)
