"""`reed-gateway update apply`: the privileged half, which systemd starts for each connection."""

import argparse
import sys


def add_action(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the action, which the list of actions does not show."""
    apply = actions.add_parser(
        "apply",
        description="Answer one request of the updater on standard input, as root; see docs/updates.md. "
        "Started by reed-apply.socket.",
    )
    apply.add_argument(
        "--guard-s",
        type=float,
        metavar="SECONDS",
        help="what nobody commits goes after this time (default: by [update] health_timeout_s)",
    )


def run(args: argparse.Namespace) -> int:
    """Answer one request."""
    # the whole of it, before a package is exchanged that it is part of
    from gateway.app import applying  # noqa: PLC0415

    return applying.answer(sys.stdin.buffer, sys.stdout.buffer, args.guard_s)
