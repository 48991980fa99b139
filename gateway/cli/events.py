"""`reed-gateway events`: the last messages, and each new one with --follow."""

import argparse
from collections.abc import Mapping
from typing import Any

from gateway.cli.access import add_options, connect, show_json
from gateway.cli.message import sentence, when

MOST = 10_000
"""The gateway keeps fewer, and takes no larger number."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "events", help="the last messages; follow new ones", description="Show what the gateway has said."
    )
    add_options(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on until interrupted")
    parser.add_argument(
        "-n", "--limit", type=_count, default=20, metavar="N", help="begin with the last N (20)"
    )


def _count(text: str) -> int:
    if text.isdecimal() and len(text) <= len(str(MOST)) and int(text) <= MOST:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {MOST}")


def run(args: argparse.Namespace) -> int:
    """Print messages, oldest first."""
    with connect(args) as client:
        if not args.follow:
            _show(args, client.call("GetEvents", limit=args.limit))
            return 0
        for reply in client.stream("GetEvents", limit=args.limit):
            _show(args, reply)
    return 0


def _show(args: argparse.Namespace, reply: dict[str, Any]) -> None:
    if reply["missed"] and not args.json:
        print(f"({reply['missed']} left out: they came faster than they could be shown)")
    for message in reply["messages"]:
        if args.json:
            show_json(message)
        else:
            print(line(message), flush=True)


def line(message: Mapping[str, Any]) -> str:
    """Return a message in one line: when, on which channel, of what kind, what it says."""
    return f"{when(message)}  {message['channel']:5}  {message['kind']:10}  {sentence(message)}"
