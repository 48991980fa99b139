"""`reed-gateway update check`: what there is, asked now; nothing is begun."""

import argparse
import asyncio

from gateway.app.updating import Assembly
from gateway.cli.update.owner import as_owner
from gateway.cli.update.start import start
from gateway.config.model import Config
from gateway.errors import UpdateError

_UNREACHABLE = 69


def run(args: argparse.Namespace) -> int:
    """Ask everybody, then let the runner work; exit status 69 if somebody does not answer.

    Raises:
        GatewayError: The configuration is wrong, or the disk does not take what was learned.
    """
    from gateway.config.read import read  # noqa: PLC0415  # so that `--help` stays quick

    config = read(args.config)
    with as_owner(config.gateway.state_dir):
        assembly = Assembly(config)
        with assembly.record.only_one() as is_ours:
            if not is_ours:
                print("updater      is at work; see: reed-gateway update status")
                return 0
            status = max(_metadata(assembly, config), asyncio.run(_sources(assembly)))
    print(f"updater      {start()}")
    return status


def _metadata(assembly: Assembly, config: Config) -> int:
    try:
        is_there = assembly.refresh()
    except UpdateError as error:
        print(f"metadata     {error}")
        return _UNREACHABLE
    print(f"metadata     {f'{config.update.url}: fresh' if is_there else 'no server ([update] url)'}")
    return 0


async def _sources(assembly: Assembly) -> int:
    worst = 0
    if assembly.hawkbit is not None:
        assembly.hawkbit.hurry()
    for source in assembly.parts().sources.values():
        try:
            order = await source.order()
        except UpdateError as error:
            print(f"{source.name:<12} {error}")
            worst = _UNREACHABLE
        else:
            print(f"{source.name:<12} {f'{order.kind} {order.version}' if order else 'nothing'}")
    return worst
