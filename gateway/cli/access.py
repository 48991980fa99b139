"""How every command reaches the gateway, and how it prints JSON."""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.control.client import Client
from gateway.control.config import Config

STORED = 75
"""EX_TEMPFAIL: not now; somebody else has the valve, or the request was refused."""


ANSWER_WAIT_S = 200.0
"""The gateway itself gives up a little earlier, and says so."""


def add_options(parser: argparse.ArgumentParser, *, as_json: bool = True, again: bool = False) -> None:
    """Add --socket, and --json where there is something to print.

    Args:
        parser: Where to add them.
        as_json: There is something to print as JSON.
        again: The command above has them already, and what was given there counts unless given here.
    """
    path = Path(os.environ.get("REED_SOCKET") or Config().socket)
    parser.add_argument(
        "--socket",
        type=Path,
        default=argparse.SUPPRESS if again else path,
        metavar="PATH",
        help="control socket (default: $REED_SOCKET or /run/reed/org.reed.Gateway)",
    )
    if as_json:
        parser.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS if again else False,
            help="print JSON, one line for each reply",
        )


def connect(args: argparse.Namespace) -> Client:
    """Connect to the gateway. Raises ControlError."""
    return Client(args.socket)


def get_view(args: argparse.Namespace) -> dict[str, Any]:
    """Return everything there is to see, shaped as in org.reed.Gateway.varlink. Raises ControlError."""
    with connect(args) as client:
        view: dict[str, Any] = client.call("GetView")["view"]
    return view


def show_json(value: object) -> None:
    """Print one line of JSON, at once."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def ask(args: argparse.Namespace, what: str, method: str, **parameters: object) -> int:
    """Ask for an actuation, print each answer and return the exit status.

    Raises:
        ControlError: It was refused, it failed, or the gateway does not answer.
    """
    with connect(args) as client:
        return _print_answers(args, what, client.stream(method, timeout_s=ANSWER_WAIT_S, **parameters))


def _print_answers(args: argparse.Namespace, what: str, answers: Iterator[dict[str, Any]]) -> int:
    for answer in answers:
        if args.json:
            show_json(answer)
        else:
            state = str(answer["state"])
            print(": ".join(part for part in (what, state, str(answer["detail"])) if part), flush=True)
        if str(answer["detail"]).startswith("stored"):
            return STORED
        if getattr(args, "no_wait", False):
            return 0
    return 0
