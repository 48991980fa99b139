"""`reed-gateway update`: what is under way, by hand, and what systemd starts for it."""

import argparse
from pathlib import Path

from gateway.cli.access import add_options
from gateway.cli.check_config import DEFAULT_PATH
from gateway.cli.table import seconds
from gateway.cli.update import apply

_MODULES = {
    "status": "status",
    "check": "check",
    "install": "install",
    "rollback": "ask",
    "pause": "ask",
    "cancel": "ask",
    "run": "work",
    "verify": "work",
    "apply": "apply",
}


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command, its actions and their options."""
    parser = subparsers.add_parser(
        "update",
        help="updates of the system, the application and the configuration",
        description="Show, bring, hold up or take back an update. Whatever is installed was signed, waits "
        "until the building is quiet, and goes back by itself if the gateway is not as well as before.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_status(actions)
    _add(actions, "check", "ask now what there is: fresh metadata, and who wants what")
    _add_install(actions)
    rollback = _add(
        actions, "rollback", "bring the former version back, of what is on trial or was installed"
    )
    rollback.add_argument("kind", nargs="?", choices=("app", "config"), help="(of the last update)")
    _add(actions, "cancel", "no longer want the update that is under way")
    pause = _add(actions, "pause", "begin nothing for a while")
    until = pause.add_mutually_exclusive_group()
    until.add_argument("--for", dest="for_s", type=seconds, metavar="TIME", help="(until --off)")
    until.add_argument("--off", action="store_true", help="go on")
    _add(actions, "run", "work on updates until none is left; systemd does this")
    _add(actions, "verify", "judge what is on trial after a start; systemd does this")
    apply.add_action(actions)


def _add(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, text: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="FILE", help=f"({DEFAULT_PATH})")
    return parser


def _add_status(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(actions, "status", "show the update that is under way, or the last one")
    add_options(parser)
    parser.add_argument("--follow", action="store_true", help="until it is over; exit status 1 if it failed")


def _add_install(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _add(actions, "install", "install an update that was brought as a file")
    add_options(parser)
    parser.add_argument("file", type=Path, metavar="FILE", help="made by `reed-ota export`")
    parser.add_argument(
        "--downgrade", action="store_true", help="an older version is meant, and signed as one that may be"
    )
    parser.add_argument("--no-wait", action="store_true", help="do not watch until it is over")


def run(args: argparse.Namespace) -> int:
    """Do what was asked.

    Raises:
        GatewayError: It cannot be done, and why.
    """
    import importlib  # noqa: PLC0415  only one of them, and not for --help

    status: int = importlib.import_module(f"gateway.cli.update.{_MODULES[args.action]}").run(args)
    return status
