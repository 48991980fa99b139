"""`reed-gateway update rollback|cancel|pause`: what people here want of the runner."""

import argparse
import os
import secrets
import time

from gateway.app.clock import WallClock, boot_id
from gateway.cli.table import duration
from gateway.cli.update.owner import as_owner
from gateway.cli.update.start import start
from gateway.config.model import Config
from gateway.domain.update.model import Code, Kind, Order, State, Update
from gateway.errors import UpdateError
from gateway.update.mailbox import Mailbox, Pause
from gateway.update.record import Record


def run(args: argparse.Namespace) -> int:
    """Ask for it.

    Raises:
        GatewayError: There is nothing of that kind, or the disk does not take it.
    """
    from gateway.config.read import read  # noqa: PLC0415  # so that `--help` stays quick

    config = read(args.config)
    with as_owner(config.gateway.state_dir):
        line = _ACTIONS[args.action](args, config)
    if args.action != "pause" or args.off:
        start()
    print(line)
    return 0


def _pause(args: argparse.Namespace, config: Config) -> str:
    mailbox = Mailbox(config.gateway.update_dir)
    if args.off:
        mailbox.pause(None)
        return "updates go on"
    if args.for_s is None:
        mailbox.pause(Pause())
        return "updates are paused; go on with: reed-gateway update pause --off"
    now_unix_s = WallClock().trusted_unix_s()
    until_unix_s = None if now_unix_s is None else now_unix_s + args.for_s
    mailbox.pause(Pause(until_unix_s, boot_id(), time.monotonic() + args.for_s))
    return f"updates are paused for {duration(args.for_s)}"


def _cancel(_: argparse.Namespace, config: Config) -> str:
    update = _under_way(config)
    Mailbox(config.gateway.update_dir).cancel(update.order.id)
    return f"{update.order.kind} {update.order.version} is to be cancelled; see: reed-gateway update status"


def _rollback(args: argparse.Namespace, config: Config) -> str:
    """Undo what is on trial; else want what ran before the last update that went well."""
    record, mailbox = Record(config.gateway.update_dir), Mailbox(config.gateway.update_dir)
    saved = record.load()
    if saved is not None and not saved.update.state.final:
        update = saved.update
        if update.state is not State.VERIFYING:
            raise _refused(f"{update.order.kind} {update.order.version} is not on trial; it can be cancelled")
        mailbox.undo(update.order.id)
        return f"{update.order.kind} {update.order.version} is taken back; see: reed-gateway update status"
    last = _last_good(record, args.kind)
    order = Order(
        id=f"local-{secrets.token_hex(8)}",
        kind=last.order.kind,
        target="",
        version=last.from_version,
        actor=f"uid:{os.getuid()}",
        deadline_s=config.update.deadline_s,
        downgrade=True,
    )
    mailbox.ask(order)
    return f"{order.kind} {order.version} is to come back; see: reed-gateway update status"


def _last_good(record: Record, kind: str | None) -> Update:
    """Return the last update that succeeded, and whose former version may have been kept."""
    kinds = {kind} if kind else {Kind.APP, Kind.CONFIG}
    for ended in reversed(record.done()):
        update = ended.update
        if update.state is State.SUCCEEDED and update.order.kind in kinds and update.from_version:
            return update
    raise _refused(
        "no application or configuration was installed by an update; there is nothing to go back to"
    )


def _under_way(config: Config) -> Update:
    saved = Record(config.gateway.update_dir).load()
    if saved is None or saved.update.state.final:
        raise _refused("no update is under way")
    return saved.update


def _refused(why: str) -> UpdateError:
    return UpdateError(Code.INVALID, why)


_ACTIONS = {"pause": _pause, "cancel": _cancel, "rollback": _rollback}
