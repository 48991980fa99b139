"""`reed-gateway enrol`: from a token to a certificate, by hand or from a file at boot."""

import argparse
import sys
from pathlib import Path

from gateway.cli.access import add_options
from gateway.cli.check_config import DEFAULT_PATH
from gateway.errors import ConfigError

_FROM_STDIN = "-"


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "enrol",
        help="become one of the cloud's gateways",
        description="Make a key, have it certified for a one-time token, and let the running gateway use it. "
        "It may be repeated after any failure. Exit status 69 if trying again later may help, 77 if the "
        "cloud refuses.",
    )
    add_options(parser)
    parser.add_argument("--url", help="address of the cloud's enrolment, https://HOST")
    parser.add_argument("--token", help="as given out by the cloud; - reads it from standard input")
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="PEM: who vouches for the cloud's servers"
    )
    parser.add_argument("--again", action="store_true", help="enrol anew where that has been done")
    parser.add_argument(
        "--from", dest="file", type=Path, metavar="FILE", help="take all this from a TOML file"
    )
    parser.add_argument(
        "--provisioning",
        action="store_true",
        help="as --from, with the file on the boot partition if there is one; for the start of the machine",
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="FILE", help=f"({DEFAULT_PATH})")


def run(args: argparse.Namespace) -> int:
    """Enrol.

    Raises:
        GatewayError: It cannot be done, and why.
    """
    from gateway.cli import enrolling  # noqa: PLC0415  so that `--help` stays quick

    if args.file is not None or args.provisioning:
        given = [name for name in ("url", "token", "ca_file") if getattr(args, name) is not None]
        if given:
            name = given[0].replace("_", "-")
            raise ConfigError((f"--{name}", "is in the file; give either the file or the options"))
        return enrolling.from_file(args)
    if args.url is None:
        raise ConfigError(("--url", "missing; give the address of the cloud's enrolment, https://HOST"))
    return enrolling.by_hand(args, _token(args))


def _token(args: argparse.Namespace) -> str:
    given: str | None = args.token
    if given is not None:
        return _from_stdin() if given == _FROM_STDIN else given
    if not sys.stdin.isatty():
        raise ConfigError(("--token", "missing; give the token, or - to read it from standard input"))
    import getpass  # noqa: PLC0415

    try:
        return getpass.getpass("token: ")
    except EOFError:  # Ctrl-D
        raise KeyboardInterrupt from None


def _from_stdin() -> str:
    try:
        return sys.stdin.readline(4096)
    except UnicodeDecodeError:
        raise ConfigError(("--token", "what was read from standard input is no text")) from None
