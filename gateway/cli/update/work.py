"""`reed-gateway update run` and `verify`: the runner; systemd starts both."""

import argparse
import asyncio
import signal
from contextlib import suppress

from gateway.cli.update.owner import as_owner
from gateway.config.model import Config


def run(args: argparse.Namespace) -> int:
    """Work until nothing is left, or until we are told to stop: the record is on disk at every moment.

    Raises:
        GatewayError: The configuration is wrong, or the disk does not take the record.
    """
    from gateway.app import log  # noqa: PLC0415  # so that `--help` stays quick
    from gateway.config.read import read  # noqa: PLC0415

    log.set_up()
    config = read(args.config)
    with as_owner(config.gateway.state_dir), suppress(asyncio.CancelledError):
        asyncio.run(_work(config, verify_only=args.action == "verify"))
    return 0


async def _work(config: Config, *, verify_only: bool) -> None:
    from gateway.app.updating import Assembly  # noqa: PLC0415
    from gateway.update.runner import Runner  # noqa: PLC0415

    this = asyncio.current_task()
    if this is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    assembly = Assembly(config)
    runner = Runner(assembly.parts())
    if verify_only:
        await runner.verify()
    elif await runner.run():
        await assembly.stay_fresh()
