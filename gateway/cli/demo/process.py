"""Child processes that never outlive the demo, however it ends."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import gateway

STOP_S = 8.0
"""Patience with a process that was asked to end; then it is killed."""

_FOREIGN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "JOURNAL_STREAM")
"""What a service manager may have told us is not meant for our children."""


def tied(arguments: Sequence[str]) -> list[str]:
    """Return the command so that the kernel ends it when the thread that starts it ends, if only by SIGKILL.

    Source: prctl(2), PR_SET_PDEATHSIG.
    """
    setpriv = shutil.which("setpriv")  # util-linux; elsewhere only `child` ends it
    return [setpriv, "--pdeathsig", "TERM", *arguments] if setpriv else [*arguments]


@asynccontextmanager
async def child(
    arguments: Sequence[str], log_file: Path, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `reed-gateway` with these arguments until the block ends.

    Args:
        arguments: Command and options.
        log_file: Gets what it writes, behind what is there.
        environment: Added to ours.
    """
    root = Path(gateway.__file__).parents[1]
    search = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    inherited = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *tied([sys.executable, "-m", "gateway", *arguments]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is for us alone
            env={**inherited, "PYTHONPATH": search, **environment},
        )
    try:
        yield process
    finally:
        await end(process)


async def end(process: asyncio.subprocess.Process) -> int:
    """Ask a process to end, make it end, and return its exit status (negative: by that signal)."""
    try:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            process.kill()
    return await process.wait()


def is_alive(pid: int) -> bool:
    """Return whether there is a process of this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def last_line(log_file: Path) -> str:
    """Return the last thing that a process said."""
    try:
        lines = log_file.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def said_how(status: int) -> str:
    """Return an exit status in words."""
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
