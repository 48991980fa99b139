"""`reed-gateway update install FILE`: an update that somebody has brought, without any network."""

import argparse
import os
import secrets

from gateway.cli.update import status
from gateway.cli.update.owner import as_owner
from gateway.cli.update.start import start
from gateway.config.model import Config
from gateway.domain.update.model import Code, Order
from gateway.errors import StoreError, UpdateError
from gateway.update import offline
from gateway.update.mailbox import Mailbox
from gateway.update.record import Record


def run(args: argparse.Namespace) -> int:
    """Put the file into the spool, ask the runner for it, and watch.

    Raises:
        GatewayError: It is no such file, there is no room, or another update is under way.
    """
    from gateway.config.read import read  # noqa: PLC0415  # so that `--help` stays quick

    config = read(args.config)
    order = _brought(args, config)
    began = start()
    if not args.json:
        print(f"{order.kind} {order.version} ({order.target}): {began}")
    return 0 if args.no_wait else status.follow(args, config, order.id)


def _brought(args: argparse.Namespace, config: Config) -> Order:
    """Take the file apart while no runner works: it shares the spool."""
    try:
        stream = args.file.open("rb")
    except OSError as error:
        raise StoreError(f"{args.file}: cannot be read: {error.strerror}") from None
    record, mailbox = Record(config.gateway.update_dir), Mailbox(config.gateway.update_dir)
    with stream, as_owner(config.gateway.state_dir), record.only_one() as is_ours:
        saved = record.load()
        if not is_ours or (saved is not None and not saved.update.state.final):
            detail = "another update is under way; see: reed-gateway update status"
            raise UpdateError(Code.BUSY, detail, passing=True)
        found = offline.unpack(args.file, record.folder / "spool", stream=stream)
        order = Order(
            id=f"local-{secrets.token_hex(8)}",
            kind=found.kind,
            target=found.target,
            version=found.version,
            actor=f"uid:{os.getuid()}",
            deadline_s=config.update.deadline_s,
            downgrade=args.downgrade,
        )
        mailbox.ask(order)
    return order
