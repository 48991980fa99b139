"""A runner in a process of its own, which ends itself as by SIGKILL around the n-th write of the record.

    python -m tests.fakes.updating_process FOLDER BOOT_ID KILL_AT before|after

Real: record, lock, machine, both sockets. A download is a short sleep.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.app.update_guard import CloudSource, ControlGuard
from gateway.domain.update.model import Order
from gateway.update import keep
from gateway.update.applier import ApplierClient
from gateway.update.mailbox import LocalSource, Mailbox
from gateway.update.parts import Parts, Timing
from gateway.update.record import RECORD, Record
from gateway.update.runner import Runner
from tests.fakes.updated import Signs, Time

QUICK = Timing(
    health_timeout_s=1.0,
    health_every_s=0.01,
    reboot_s=20.0,
    tick_s=0.05,
    look_s=0.2,
    renew_s=0.05,
    disk_s=0.1,
    flush_s=2.0,
    tell_s=0.05,
)


class _Fetcher:
    async def fetch(self, order: Order, on_percent: Callable[[int], None]) -> None:  # noqa: ARG002
        await asyncio.sleep(0.02)
        on_percent(100)

    async def freshen(self, order: Order) -> None:
        """Nothing here gets old."""


def _die_at(count: int, when: str, counter: Path) -> None:
    """Count the writes of all runners; the one who makes the n-th does not survive it."""
    write = keep.write

    def dying(path: Path, data: bytes) -> None:
        if path.name != RECORD:
            write(path, data)
            return
        with counter.open("ab") as file:
            file.write(b".")
        is_it = counter.stat().st_size == count
        if is_it and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, data)
        if is_it:
            os.kill(os.getpid(), signal.SIGKILL)

    keep.write = dying


def main() -> None:
    folder, boot_id, kill_at, when = sys.argv[1:]
    home = Path(folder)
    _die_at(int(kill_at), when, home / "writes")
    guard, mailbox = ControlGuard(home / "control"), Mailbox(home / "update")

    async def run() -> None:
        parts = Parts(
            record=Record(home / "update"),
            mailbox=mailbox,
            sources={"cloud": CloudSource(guard), "local": LocalSource(mailbox)},
            guard=guard,
            applier=ApplierClient(home / "applier"),
            fetcher=_Fetcher(),
            signer=Signs(),
            clock=Time(asyncio.get_running_loop().time, boot_id),
            timing=QUICK,
        )
        await Runner(parts).run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
