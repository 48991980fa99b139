"""`reed-gateway alarms`: list, acknowledge, reset, shelve."""

import argparse
from typing import Any

from gateway.cli.access import add_options, ask, get_view, show_json
from gateway.cli.table import alarm_state, duration, seconds, table

_CLASSES = ("alarm", "supervisory", "trouble")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command, its actions and their options."""
    parser = subparsers.add_parser(
        "alarms", help="list, acknowledge, reset or shelve alarms", description="Show and handle alarms."
    )
    add_options(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    _add_action(actions, "list", "show every alarm that is not normal (the default)", named=False)
    acknowledge = _add_action(actions, "ack", "say that you have seen it; ends notification only")
    acknowledge.add_argument("--cause", help="a remark for the journal")
    reset = _add_action(actions, "reset", "end a latched alarm; needs dry sensors")
    reset.add_argument("--cause", required=True, help="what was done; goes into the journal")
    shelve = _add_action(actions, "shelve", "silence it for a time")
    shelve.add_argument(
        "--for", dest="duration_s", type=seconds, required=True, metavar="TIME", help="2h, 30m; 0 ends it"
    )
    shelve.add_argument("--cause", required=True, help="why; goes into the journal")


def _add_action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    text: str,
    *,
    named: bool = True,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    if named:
        parser.add_argument("alarm", metavar="ALARM", help="id of the alarm, e.g. leak/zone/plant-room")
    add_options(parser, again=True)
    return parser


def run(args: argparse.Namespace) -> int:
    """List the alarms, or ask for one of the actions."""
    match args.action:
        case "ack":
            return ask(args, f"ack {args.alarm}", "AcknowledgeAlarm", alarm=args.alarm, cause=args.cause)
        case "reset":
            return ask(args, f"reset {args.alarm}", "ResetAlarm", alarm=args.alarm, cause=args.cause)
        case "shelve":
            what = f"shelve {args.alarm}"
            parameters = {"alarm": args.alarm, "duration_s": args.duration_s, "cause": args.cause}
            return ask(args, what, "ShelveAlarm", **parameters)
        case _:
            return _list(args)


def _list(args: argparse.Namespace) -> int:
    view = get_view(args)
    if args.json:
        show_json(view["alarms"])
    else:
        print(alarm_table(view) if view["alarms"] else "no alarms")
    return 0


def alarm_table(view: dict[str, Any]) -> str:
    """Return the alarms, the classes apart, the oldest first within each."""
    ordered = sorted(
        view["alarms"], key=lambda alarm: (_CLASSES.index(alarm["class"]), -alarm["raised_s_ago"])
    )
    rows = [
        [
            alarm["class"].upper(),
            alarm["id"],
            "present" if alarm["active"] else "gone",
            alarm_state(alarm),
            f"{duration(alarm['raised_s_ago'])} ago",
            alarm["detail"] or "-",
        ]
        for alarm in ordered
    ]
    return table(["CLASS", "ALARM", "CONDITION", "STATE", "RAISED", "DETAIL"], rows)
