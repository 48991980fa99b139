"""`reed-gateway walk-test`: wet and dry each sensor of a zone in turn; they report, no valve moves."""

import argparse
import contextlib
import time
from collections.abc import Iterator
from typing import Any

from gateway.cli.access import add_options, ask, connect, show_json
from gateway.cli.table import seconds
from gateway.control.client import Client


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "walk-test",
        help="test the sensors of a zone without moving its valves",
        description="Put a zone under test, name each sensor as it gets wet and dry again, and end the test "
        "when all have, after --for, or at Ctrl-C. Exit status 1 if a sensor did not pass.",
    )
    parser.add_argument("zone", metavar="ZONE", help="id of the zone, as in `status`")
    parser.add_argument("--for", dest="duration_s", type=seconds, default=1800.0, metavar="TIME", help="30m")
    switch = parser.add_mutually_exclusive_group()
    switch.add_argument("--on", action="store_true", help="only start the test")
    switch.add_argument("--off", action="store_true", help="only end the test")
    parser.add_argument("--cause", help="why; goes into the journal")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the test; 1 if a sensor did not report."""
    if args.on or args.off:
        what = f"walk test of {args.zone} {'on' if args.on else 'off'}"
        return ask(args, what, "WalkTest", zone=args.zone, on=args.on, cause=args.cause)
    with connect(args) as asking, connect(args) as listening:
        batches = reports(args.zone, listening)
        asking.call("WalkTest", zone=args.zone, on=True, cause=args.cause)
        sensors = asking.call("GetView")["view"]["zones"][args.zone]["sensors"]
        if not args.json:
            print(
                f"{args.zone} is under test: wet and dry each of {', '.join(sensors)}; Ctrl-C ends it",
                flush=True,
            )
        result = None
        try:
            result = _walk(args, listening, batches, set(sensors))
        finally:
            if result is None:
                asking.call("WalkTest", zone=args.zone, on=False, cause=args.cause)
        return _conclude(args, result or _result(batches))


def _walk(
    args: argparse.Namespace, listening: Client, batches: Iterator[list[dict[str, Any]]], left: set[str]
) -> dict[str, Any] | None:
    """Name sensors as they report, until all have passed or the time is up; return an early result."""
    until_s = time.monotonic() + args.duration_s
    with contextlib.suppress(KeyboardInterrupt):
        while left and listening.ready(until_s - time.monotonic()):
            for report in next(batches):
                if report["step"] == "finished":
                    return report
                if report["step"] == "passed":
                    left.discard(report["sensor_id"])
                if args.json:
                    show_json(report)
                else:
                    print(f"{report['sensor_id']}: {report['step']} ({len(left)} to go)", flush=True)
    return None


def reports(zone: str, client: Client) -> Iterator[list[dict[str, Any]]]:
    """Yield what is said of the test from now on; returns only once the gateway is listening."""
    replies = client.stream("GetEvents", limit=0, timeout_s=10.0)
    next(replies)
    return (
        [message["body"] for message in reply["messages"] if _is_about(zone, message)] for reply in replies
    )


def _is_about(zone: str, message: dict[str, Any]) -> bool:
    return bool(message["kind"] == "walk_test" and message["body"].get("zone_id") == zone)


def _result(batches: Iterator[list[dict[str, Any]]]) -> dict[str, Any]:
    return next(report for batch in batches for report in batch if report["step"] == "finished")


def _conclude(args: argparse.Namespace, result: dict[str, Any]) -> int:
    if args.json:
        show_json(result)
    elif result["not_passed"]:
        print(f"test over; NOT passed: {', '.join(result['not_passed'])}")
    else:
        print("test over; every sensor passed")
    return int(bool(result["not_passed"]))
