"""`reed-gateway valve`: ask something of a valve, and wait until it has happened."""

import argparse

from gateway.cli.access import add_options, ask

_WISHES = {
    "close": "close it; always possible but for a lockout or a person at the button",
    "open": "open it; refused while a leak alarm is latched",
    "auto": "give up own wishes and a lockout",
    "lockout": "take it out of service: nothing drives it until auto",
    "exercise": "move it and put it back",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command, its actions and their options."""
    parser = subparsers.add_parser(
        "valve", help="close, open, lock out or exercise a valve", description="Ask something of a valve."
    )
    actions = parser.add_subparsers(dest="wish", metavar="ACTION", required=True)
    for wish, text in _WISHES.items():
        action = actions.add_parser(wish, help=text, description=f"Ask of a valve: {text}.")
        action.add_argument("valve", metavar="VALVE", help="id of the valve, as in `status`")
        action.add_argument("--cause", help="why; goes into the journal")
        action.add_argument("--no-wait", action="store_true", help="do not wait until it has arrived")
        add_options(action)


def run(args: argparse.Namespace) -> int:
    """Ask, and print each answer."""
    what = f"{args.wish} {args.valve}"
    if args.wish == "exercise":
        return ask(args, what, "ExerciseValve", valve=args.valve, cause=args.cause)
    return ask(args, what, "ActuateValve", valve=args.valve, wish=args.wish, cause=args.cause)
