"""`reed-cloud run`: broker, nginx and web application in the foreground, as systemd wants it."""

import argparse

from cloud.cli.access import add_options, check_is_ours, home_of


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "run",
        help="run broker, nginx and web application",
        description="Run everything in the foreground until SIGTERM. SIGHUP looks at once at what is due: "
        "certificates, revocation lists, agreement of broker and registry.",
    )
    add_options(parser, as_json=False)


def run(args: argparse.Namespace) -> int:
    """Run; problems leave as one line before anything is started."""
    home = home_of(args)
    check_is_ours(home)
    from cloud.project.setup import start  # noqa: PLC0415  # heavy

    config = start(home)
    from cloud.run import log, supervisor  # noqa: PLC0415  # can be imported only now

    log.set_up()
    supervisor.run(home, config)
    return 0
