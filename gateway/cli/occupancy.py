"""`reed-gateway occupancy`: show or say how the building is used; flow rules may differ."""

import argparse

from gateway.cli.access import add_options, ask, get_view, show_json
from gateway.domain.model import Occupancy


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "occupancy",
        help="show or say how the building is used",
        description="Without MODE: show how the building is used. With it: say so from now on. In "
        "maintenance, flow rules notify and close nothing. Leaks are treated the same in every mode.",
    )
    modes = [mode.value for mode in Occupancy]
    parser.add_argument("mode", nargs="?", choices=modes, metavar="MODE", help=", ".join(modes))
    parser.add_argument("--cause", help="why; goes into the journal")
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the mode, or ask for another and print each answer."""
    if args.mode is not None:
        return ask(args, f"occupancy {args.mode}", "SetOccupancy", mode=args.mode, cause=args.cause)
    mode = get_view(args)["occupancy"]
    if args.json:
        show_json({"occupancy": mode})
    else:
        print(mode)
    return 0
