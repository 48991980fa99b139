"""`reed-gateway failsafe`: what systemd runs when the daemon has ended (ExecStopPost)."""

import argparse
import os
from pathlib import Path

DEFAULT_PATH = Path("/etc/reed/gateway.toml")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "failsafe",
        help="put the valve lines into a safe state after the daemon has ended",
        description="Stop moving coils and do what on_daemon_loss says. For ExecStopPost= of the service; "
        "SERVICE_RESULT tells whether the daemon ended as it was told to. Does nothing while it runs.",
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="FILE")


def run(args: argparse.Namespace) -> int:
    """Secure the valves and say what was done."""
    # imported here, so that `--help` stays quick
    import asyncio  # noqa: PLC0415

    from gateway.app import failsafe  # noqa: PLC0415

    note = failsafe.find_note(args.config, os.environ)
    # "timeout": it was told to stop and did not in time; nobody starts it again
    crashed = os.environ.get("SERVICE_RESULT", "success") not in ("success", "timeout")
    for line in asyncio.run(failsafe.secure(note, crashed=crashed)):
        print(line)
    return 0
