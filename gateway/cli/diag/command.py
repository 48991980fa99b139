"""`reed-gateway diag`: a support bundle, shown before it is written."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.cli.access import add_options
from gateway.cli.check_config import DEFAULT_PATH
from gateway.cli.table import table
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.cli.diag.gather import File

_NOT_WRITTEN = 1


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "diag",
        help="make a support bundle, without any secret",
        description="Collect what somebody who helps needs to know, show what that is, and write it to a "
        ".tar.gz after asking. Keys, tokens and unknown values of the configuration are never in it.",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="(reed-diag-TIME.tar.gz in this folder)")
    parser.add_argument("--list", action="store_true", help="only show what would be in it")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--hash-names",
        action="store_true",
        help="replace the names of gateway, zones, sensors, valves, persons and hosts by hashes",
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="FILE", help=f"({DEFAULT_PATH})")
    add_options(parser, as_json=False)


def run(args: argparse.Namespace) -> int:
    """Show what there is, ask, write.

    Raises:
        ConfigError: Nobody can be asked, and --yes was not given.
        StoreError: It cannot be written.
    """
    from gateway.cli.ble.questions import at_terminal, yes  # noqa: PLC0415  # so that `--help` stays quick
    from gateway.cli.diag import bundle  # noqa: PLC0415
    from gateway.cli.diag.gather import Gathering  # noqa: PLC0415

    gathering = Gathering(args)
    files = gathering.files(hash_names=args.hash_names)
    _show(files, gathering.problems)
    if args.list:
        return 0
    content = bundle.packed(files)
    path = args.output or Path(time.strftime("reed-diag-%Y%m%dT%H%M%SZ.tar.gz", time.gmtime()))
    if not args.yes and not at_terminal():
        raise ConfigError(("--yes", "missing; nobody can be asked here"))
    if not args.yes and not yes(f"write these {len(content)} bytes to {path}?"):
        return _NOT_WRITTEN
    bundle.write(path, content)
    print(f"{path}: {len(content)} bytes; it is not sent anywhere")
    return 0


def _show(files: "Sequence[File]", problems: Sequence[str]) -> None:
    rows = [[file.name, f"{file.size_bytes}", file.what] for file in files]
    print(table(["FILE", "BYTES", "WHAT"], rows))
    for problem in problems:
        print(f"missing: {problem}")
