"""`reed-gateway run`: the daemon itself, in the foreground, as systemd wants it."""

import argparse
from pathlib import Path

DEFAULT_PATH = Path("/etc/reed/gateway.toml")


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "run",
        help="run the gateway",
        description="Run the gateway in the foreground until SIGTERM. SIGHUP reads the configuration again.",
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_PATH, metavar="FILE")
    parser.add_argument("--verbose", action="store_true", help="log more")


def run(args: argparse.Namespace) -> int:
    """Read the configuration and run; problems leave as a ConfigError before anything is touched."""
    # imported here, so that `--help` stays quick
    from gateway.app import daemon, log  # noqa: PLC0415
    from gateway.config.read import read  # noqa: PLC0415

    config = read(args.config)
    log.set_up(verbose=args.verbose)
    return daemon.run(config)
