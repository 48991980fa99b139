"""Child processes that never outlive the demo, however it ends."""

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import gateway
from gateway.errors import DemoError

Program: TypeAlias = Literal["gateway", "cloud"]

STOP_S = 8.0
"""Patience with a process that was asked to end; then it is killed."""

_LOOK_EVERY_S = 0.02

ASK_S = 30.0
"""Patience with a command that a person types; each takes about a second."""

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
    arguments: Sequence[str], log_file: Path, *, program: Program = "gateway", **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `reed-gateway` (or `reed-cloud`) with these arguments until the block ends.

    Args:
        arguments: Command and options.
        log_file: Gets what it writes, behind what is there.
        program: Which of the two.
        environment: Added to ours.
    """
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *tied([sys.executable, "-m", program, *arguments]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is for us alone
            env=_environment(environment),
        )
    try:
        yield process
    finally:
        await end(process)


async def ask(program: Program, *arguments: str, within_s: float = ASK_S, **environment: str) -> str:
    """Run a command to its end, as a person would type it, and return what it printed.

    Args:
        program: Of which it is a command.
        arguments: Command and options.
        within_s: So long it may take.
        environment: Added to ours.

    Raises:
        DemoError: It failed, with its own last words; or it took too long.
    """
    process = await asyncio.create_subprocess_exec(
        *tied([sys.executable, "-m", program, *arguments]),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        env=_environment(environment),
    )
    try:
        async with asyncio.timeout(within_s):
            said, complained = await process.communicate()
    except TimeoutError:
        raise DemoError(f"reed-{program} {arguments[0]} took longer than {within_s:g} s") from None
    finally:
        await end(process)
    if process.returncode:
        words = _last(complained.decode(errors="replace")) or said_how(process.returncode)
        raise DemoError(words)
    return said.decode(errors="replace")


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    root = Path(gateway.__file__).parents[1]
    search = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    inherited = {key: value for key, value in os.environ.items() if key not in _FOREIGN}
    return {**inherited, "PYTHONPATH": search, **added}


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


def family(pid: int) -> list[int]:
    """Return the ids of a process and of all that it has started and that live. Source: proc(5)."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        children = []
    return [pid, *(each for child in children for each in family(int(child)))]


async def still_alive(pids: Sequence[int]) -> list[int]:
    """Return those that do not end; the children of one that was killed get a moment."""
    deadline_s = time.monotonic() + STOP_S
    while True:
        left = [pid for pid in pids if is_alive(pid)]
        if not left or time.monotonic() > deadline_s:
            return left
        await asyncio.sleep(_LOOK_EVERY_S)


def is_alive(pid: int) -> bool:
    """Return whether a process of this id runs. Source: proc(5), the state follows the name."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def last_line(log_file: Path) -> str:
    """Return the last thing that a process said."""
    try:
        return _last(log_file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""


def _last(text: str) -> str:
    return next((line.strip() for line in reversed(text.split("\n")) if line.strip()), "")


def said_how(status: int) -> str:
    """Return an exit status in words."""
    return f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
