"""`reed-gateway metrics`: the gateway in figures, for Prometheus."""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path

from gateway.cli.access import add_options, connect
from gateway.errors import ControlError, StoreError

_READABLE = 0o644
_DOWN = """\
# HELP reed_up The gateway answers.
# TYPE reed_up gauge
reed_up 0
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "metrics",
        help="the gateway in figures, for Prometheus",
        description="Print figures in Prometheus's text format, or write them where node_exporter's textfile "
        "collector finds them.",
    )
    parser.add_argument(
        "--textfile",
        type=Path,
        metavar="PATH",
        help="write to this file, at once or not at all; if the gateway does not answer, only reed_up 0",
    )
    add_options(parser, as_json=False)


def run(args: argparse.Namespace) -> int:
    """Print or write the figures.

    Raises:
        ControlError: The gateway does not answer.
        StoreError: The file cannot be written.
    """
    if args.textfile is None:
        sys.stdout.write(_figures(args))
        return 0
    try:
        figures = _figures(args)
    except ControlError:
        # an old file would go on saying that all is well
        _put(args.textfile, _DOWN)
        raise
    _put(args.textfile, figures)
    return 0


def _figures(args: argparse.Namespace) -> str:
    with connect(args) as client:
        return str(client.call("GetMetrics")["text"])


def _put(path: Path, text: str) -> None:
    """Replace the file at once: a reader sees the old figures or the new ones."""
    written = None
    try:
        # no .prom at the end: the collector reads every file that has it
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            written = Path(file.name)
            file.write(text)
        written.chmod(_READABLE)
        written.replace(path)
    except OSError as error:
        if written is not None:
            with contextlib.suppress(OSError):
                written.unlink()
        raise StoreError(f"{path}: cannot be written: {os.strerror(error.errno or 0)}") from None
