"""Child processes that never outlive us, however we end."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence

from cloud.run.outlet import Outlet

STOP_S = 5.0
"""Patience with a process that was asked to end; then it is killed."""

_FOREIGN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM", "LISTEN_FDS", "LISTEN_PID")
"""What a service manager may have told us is not meant for our children."""


def tied(arguments: Sequence[str]) -> list[str]:
    """Return the command so that the kernel ends it when the thread that starts it ends, if only by SIGKILL.

    Source: prctl(2), PR_SET_PDEATHSIG. As a service of systemd we need no such help: it ends what we leave,
    and our sandbox forbids what setpriv does (systemd.exec(5), SYSTEMD_EXEC_PID).
    """
    if os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid()):
        return [*arguments]
    setpriv = shutil.which("setpriv")  # util-linux; elsewhere only `end` ends it
    return [setpriv, "--pdeathsig", "TERM", *arguments] if setpriv else [*arguments]


async def start(
    arguments: Sequence[str], outlet: Outlet, environment: Mapping[str, str]
) -> asyncio.subprocess.Process:
    """Start a program at the head of a process group of its own; what it says goes to `outlet`.

    Raises:
        OSError: It cannot be executed.
    """
    inherited = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    try:
        return await asyncio.create_subprocess_exec(
            *tied(arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=outlet.writing_end,
            stderr=outlet.writing_end,
            start_new_session=True,  # Ctrl-C in a terminal is for us alone
            env={**inherited, **environment},
        )
    finally:
        outlet.hand_over()


async def end(process: asyncio.subprocess.Process, patience_s: float = STOP_S) -> int:
    """Ask a process to end, make it end with all that it started, and return its exit status."""
    try:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(patience_s):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        sweep(process)
    return await process.wait()


def sweep(process: asyncio.subprocess.Process) -> None:
    """Kill whatever is left of the process and of its group: nginx' workers outlive a killed master."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def said_how(status: int) -> str:
    """Return an exit status in words."""
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
