"""`reed-gateway building`: a simulated building to try the gateway on, and hands to do things in it.

reed-gateway building --socket ./building                   build it, until Ctrl-C
reed-gateway building poke leak kitchen                      do something there
reed-gateway building look                                   see everything, as JSON
reed-gateway building observe                                what happens, one JSON object on each line
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import get_args, get_type_hints

from msgspec import NODEFAULT
from msgspec.structs import fields

from gateway.domain.model import Position
from gateway.errors import ConfigError
from gateway.sim.client import Visitor
from gateway.sim.hands import Poke
from gateway.sim.plan import load
from gateway.sim.server import serve
from gateway.sim.wire import encode

DEMO_PLAN = Path(__file__).parent / "demo" / "building.toml"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command's options."""
    parser = subparsers.add_parser(
        "building",
        help="simulate a building, and do things in it",
        description="Without an action: be a simulated building until interrupted. "
        'The gateway connects to its socket with [board] kind = "sim".',
    )
    parser.add_argument(
        "--plan", type=Path, default=DEMO_PLAN, help="TOML file (default: the demo's building)"
    )
    parser.add_argument(
        "--socket",
        type=Path,
        default=os.environ.get("REED_BUILDING"),
        help="Unix socket of the building (default: REED_BUILDING)",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    look = actions.add_parser("look", help="print all that can be seen there, as JSON")
    observe = actions.add_parser("observe", help="print what happens there, one JSON object on each line")
    for action in (look, observe):
        action.add_argument("--socket", type=Path, default=argparse.SUPPRESS, help="the same, given here")
    pokes = actions.add_parser("poke", help="do something there").add_subparsers(
        dest="poke", metavar="WHAT", required=True
    )
    for poke in get_args(Poke):
        _add_poke(pokes, poke)


def run(args: argparse.Namespace) -> int:
    """Build the building, or do something in it.

    Raises:
        ConfigError: The plan is wrong, or no socket is named.
        DriverError: Nobody listens there, or the building refuses.
    """
    if args.socket is None:
        raise ConfigError(("socket", "name the building's socket with --socket or REED_BUILDING"))
    if args.action is None:
        asyncio.run(_stand(args.plan, Path(args.socket)))
        return 0
    with Visitor(Path(args.socket)) as visitor:
        if args.action == "poke":
            keys = args.poke_type.__struct_fields__
            visitor.poke(args.poke_type(**{key: getattr(args, key) for key in keys}))
        elif args.action == "look":
            print(json.dumps(visitor.look(), indent=2))
        else:
            for happening in visitor.observe():
                print(encode(happening).decode(), flush=True)
    return 0


async def _stand(plan_file: Path, path: Path) -> None:
    plan = load(plan_file)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # Counters must grow from run to run; no sensor sends a frame each second for ever, so seconds do.
    async with serve(plan, path, counter=int(time.time())):
        print(f"building: {path}", file=sys.stderr, flush=True)
        await stopped.wait()


def _add_poke(pokes: "argparse._SubParsersAction[argparse.ArgumentParser]", poke: type[Poke]) -> None:
    about = (poke.__doc__ or "").rstrip(".")
    parser = pokes.add_parser(poke.__name__.lower(), help=about, description=f"{about}.")
    parser.add_argument("--socket", type=Path, default=argparse.SUPPRESS, help="Unix socket of the building")
    hints = get_type_hints(poke)
    for field in fields(poke):
        option = "--" + field.name.replace("_", "-")
        parse = next(
            kind
            for kind in (Position, str, float)
            if kind in (hints[field.name], *get_args(hints[field.name]))
        )
        choices = list(Position) if parse is Position else None
        if field.default is NODEFAULT:
            parser.add_argument(field.name, type=parse, choices=choices, metavar=field.name.upper())
        else:
            parser.add_argument(option, type=parse, default=field.default)
    parser.set_defaults(poke_type=poke)
