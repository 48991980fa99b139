"""The wall clock, as a command of its own may believe it: with the floor that the daemon has."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from gateway.app.clock import WallClock, not_before_unix_s
from gateway.cli.access import get_view
from gateway.errors import ControlError

_BUSY_S = 0.2


def wall_clock(certificates: Iterable[Path]) -> WallClock:
    """Return the clock with the floor that is quick to know: this release and our own certificates."""
    clock = WallClock()
    for path in certificates:
        clock.raise_floor(not_before_unix_s(path))
    return clock


def doubt(clock: WallClock, args: argparse.Namespace, store: Path) -> str:
    """Return why the clock cannot be believed, or "": asks the saved time and the running gateway, too.

    Args:
        clock: From `wall_clock`; its floor is raised.
        args: With `socket`, where the gateway may be.
        store: The gateway's database.
    """
    clock.raise_floor(saved_unix_s(store))
    if not clock.trusted():
        return "the clock is wrong: it shows a time that is certainly past; see: timedatectl"
    try:
        vouched = get_view(args)["clock"].get("trusted")
    except ControlError:
        vouched = True  # nobody there who would know better
    return "" if vouched else "the gateway does not trust the clock; see: timedatectl"


def saved_unix_s(store: Path) -> float:
    """Return the time that the gateway saved last, perhaps some hours ago; 0 if there is none to be read.

    The daemon keeps its database for itself. What is in the file without its log is older, and so is past,
    too; and each value has a checksum.
    """
    import sqlite3  # noqa: PLC0415  # only when something is due
    from contextlib import closing  # noqa: PLC0415

    from gateway.app.heartbeat import CLOCK_KEY  # noqa: PLC0415
    from gateway.errors import StoreError  # noqa: PLC0415
    from gateway.store import memory  # noqa: PLC0415

    try:
        address = f"{store.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, timeout=_BUSY_S, uri=True)) as connection:
            saved = memory.parse(memory.load(connection)).get(CLOCK_KEY)
    except (sqlite3.Error, StoreError, ValueError):
        return 0.0
    return float(saved) if isinstance(saved, int | float) else 0.0
