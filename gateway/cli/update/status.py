"""`reed-gateway update status`: the update that is under way, or the last; and watching one."""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.app.clock import WallClock, boot_id
from gateway.cli.access import show_json
from gateway.cli.table import duration
from gateway.cli.update import shown
from gateway.config.model import Config
from gateway.domain.update.model import State
from gateway.update.mailbox import Mailbox

_LOOK_EVERY_S = 0.5
_FAILED = 1


def run(args: argparse.Namespace) -> int:
    """Show it.

    Raises:
        GatewayError: The configuration is wrong, or nobody tells.
    """
    from gateway.config.read import read  # noqa: PLC0415  # so that `--help` stays quick

    config = read(args.config)
    if args.follow:
        return follow(args, config)
    update, pause = shown.present(args, config), paused(config)
    if args.json:
        show_json({"update": update, "paused_s": pause})
        return 0
    print(shown.NOTHING if update is None else shown.line(update))
    if pause:
        print("updates are paused" + ("" if pause == float("inf") else f" for {duration(pause)}"))
    return 0


def paused(config: Config) -> float:
    """Return how long a pause still holds, seconds."""
    pause = Mailbox(config.gateway.update_dir).paused()
    return 0.0 if pause is None else pause.left_s(time.monotonic(), boot_id(), WallClock().trusted_unix_s())


def follow(args: argparse.Namespace, config: Config, update_id: str = "") -> int:
    """Watch until it is over, and return the exit status.

    Args:
        args: With `json` and `socket`.
        config: Of the gateway.
        update_id: Whose; "": of the one that is under way.
    """
    last: Mapping[str, Any] | None = None
    if args.json:
        for last in _changes(args, config, update_id):
            show_json(last)
    elif sys.stdout.isatty():
        last = _with_bar(args, config, update_id)
    else:
        for last in _changes(args, config, update_id):
            print(shown.line(last), flush=True)
    if last is None:
        print(shown.NOTHING)
        return 0
    return 0 if State(last["state"]) is State.SUCCEEDED else _FAILED


def _changes(args: argparse.Namespace, config: Config, update_id: str) -> Iterator[Mapping[str, Any]]:
    """Yield the update whenever something has changed, until it is over."""
    told: Mapping[str, Any] | None = None
    while True:
        update = shown.present(args, config)
        if update is None and not update_id:
            return
        if update is not None and update != told and update_id in ("", update["update_id"]):
            told = update
            yield update
            if shown.is_over(update):
                return
        time.sleep(_LOOK_EVERY_S)


def _with_bar(args: argparse.Namespace, config: Config, update_id: str) -> Mapping[str, Any] | None:
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    last: Mapping[str, Any] | None = None
    with Progress(*columns, transient=True) as progress:
        task = progress.add_task("waits for the updater", total=None)
        for last in _changes(args, config, update_id):
            moving = State(last["state"]) in (State.DOWNLOADING, State.INSTALLING)
            text = shown.line(last).replace("[", r"\[")
            progress.update(task, description=text, total=100 if moving else None)
            progress.update(task, completed=float(last["percent"]) if moving else 0.0)
    if last is not None:
        print(shown.line(last))
    return last
