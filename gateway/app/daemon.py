"""The process: prepares it, opens the store, runs the gateway, flushes the store."""

import asyncio
import logging
import sys
from concurrent.futures import ThreadPoolExecutor

from gateway.app import failsafe_note, message_ids
from gateway.app.clock import boot_id
from gateway.app.disk_reports import DiskReports
from gateway.app.gateway import Gateway
from gateway.app.notify import Notifier
from gateway.app.single import only_one
from gateway.config.model import Config
from gateway.store.report import BootInfo
from gateway.store.store import Store

log = logging.getLogger(__name__)

_SWITCH_S = 0.0005
"""The disk's thread gives the interpreter back to the loop this soon (docs/adr/0002)."""

_IMPORT_THREADS = 1
"""The executor imports and reads, and nothing that waits long; more threads only cost memory."""

_BUG = 70
"""EX_SOFTWARE: the core failed; systemd starts the daemon again, and the valves stay where they are."""


def run(config: Config) -> int:
    """Run the daemon until it is told to stop; return the exit status.

    Raises:
        DriverError: It runs already.
    """
    with only_one(config.gateway.runtime_dir):
        return _run(config)


def _run(config: Config) -> int:
    sys.setswitchinterval(_SWITCH_S)
    notifier = Notifier.from_environment()
    try:
        asyncio.run(_main(config, notifier))
    except Exception:
        # the last stop of a bug in core or execution: its place goes to the log, the rest is systemd's
        extra = {"message_id": message_ids.FAILED}
        log.exception("the gateway failed; the outputs stay as they are", extra=extra)
        return _BUG
    finally:
        notifier.close()
    return 0


async def _main(config: Config, notifier: Notifier) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_IMPORT_THREADS))
    boot = boot_id()
    _make_folder(config)
    failsafe_note.leave(config)
    reports = DiskReports()
    store = await Store.open(config.store, BootInfo(boot), reports.take)
    try:
        await Gateway(config, store, reports, notifier, boot).run()
    finally:
        await store.close()


def _make_folder(config: Config) -> None:
    """Make the state folder if it can be made; if not, the store says so and works in RAM."""
    try:
        config.store.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        log.error("cannot make %s: %s", config.store.path.parent, error)  # noqa: TRY400
