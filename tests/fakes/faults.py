"""Counts what a process changes in a folder, step by step, and lets one of the steps go wrong.

Audit events of the interpreter come before each change of a name, wherever in the code it is made; writing
and fsync have none and are wrapped. There is no way back: only for a process that ends afterwards.
"""

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHANGES = ("os.rename", "os.remove", "os.symlink", "os.mkdir", "os.rmdir", "os.link", "os.truncate")
TAKES_SPACE = ("create", "write", "fsync", "os.rename", "os.symlink", "os.mkdir", "os.link")

Before = Callable[[int, str, str], None]
"""Called before each step with its number, its kind and its path."""


def watch(folder: Path, before: Before) -> list[str]:
    """Call `before` for each step in the folder from now on; return the list that names them all."""
    inside = str(folder.resolve())
    steps: list[str] = []

    def step(kind: str, path: str) -> None:
        if not os.path.abspath(path).startswith(inside):  # noqa: PTH100  # a link is meant, not its target
            return
        steps.append(f"{kind} {os.path.relpath(path, inside)}")
        before(len(steps) - 1, kind, path)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in CHANGES and isinstance(args[0], str | os.PathLike):
            # of a link, the name that is made; of a rename, the name that is replaced
            path = os.fspath(args[1] if event in ("os.symlink", "os.rename", "os.link") else args[0])
            step(event, str(_folder(event, args) / path))
        elif event == "open" and isinstance(args[0], str) and (args[2] or 0) & (os.O_CREAT | os.O_TRUNC):
            step("create", args[0])

    sys.addaudithook(hook)
    os.write = _wrapped("write", os.write, step)
    os.fsync = _wrapped("fsync", os.fsync, step)
    return steps


def _folder(event: str, args: tuple[Any, ...]) -> Path:
    """Return where a name is meant: what removes may be given an open folder."""
    opened = args[1] if event in ("os.remove", "os.rmdir") else -1
    return Path() if opened < 0 else Path(f"/proc/self/fd/{opened}").readlink()


def _wrapped(kind: str, real: Callable[..., Any], step: Callable[[str, str], None]) -> Callable[..., Any]:
    def wrapped(file: int, *rest: object) -> object:
        step(kind, str(Path(f"/proc/self/fd/{file}").readlink()))
        return real(file, *rest)

    return wrapped


def kill(at: int) -> Before:
    """SIGKILL before this step."""

    def before(number: int, kind: str, path: str) -> None:
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)

    return before


def full(at: int) -> Before:
    """From this step on the disk takes nothing more; what frees space still works."""

    def before(number: int, kind: str, path: str) -> None:
        if number >= at and kind in TAKES_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    return before


def dead(at: int) -> Before:
    """From this step on nothing can be changed, as when a card fails and is mounted read-only."""

    def before(number: int, kind: str, path: str) -> None:
        if number >= at:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    return before


def once(at: int) -> Before:
    """Just this step fails."""

    def before(number: int, kind: str, path: str) -> None:
        if number == at:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    return before
