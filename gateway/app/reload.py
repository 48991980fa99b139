"""What a new configuration changes: some of it takes effect at once, the rest with a restart.

At once: `[link]` and the files that it names, `[identity]` (a new session is begun), `[control]` (clients
connect again), `[update]` (another process reads it, each time that it starts).
Everything else decides about valves: it changes with a restart only, which moves none of them.
"""

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeAlias

from gateway.config.model import Config
from gateway.link.config import Config as LinkConfig

AT_ONCE = ("link", "identity", "control", "update")

FileMarks: TypeAlias = dict[Path, tuple[int, int, int] | None]


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of changed parts of the configuration."""

    at_once: tuple[str, ...]
    restart: tuple[str, ...]

    def __str__(self) -> str:
        if not self.at_once and not self.restart:
            return "nothing has changed"
        applied = f"applied: {', '.join(self.at_once)}" if self.at_once else ""
        waiting = f"needs a restart: {', '.join(self.restart)}" if self.restart else ""
        return "; ".join(part for part in (applied, waiting) if part)


def changes(old: Config, new: Config, *, files_changed: bool) -> Changes:
    """Compare two configurations.

    Args:
        old: In force.
        new: Just read.
        files_changed: A certificate or key of the link is not the one it was.
    """
    names = [field.name for field in fields(Config) if field.name != "path"]
    changed = [name for name in names if getattr(old, name) != getattr(new, name)]
    if files_changed and "link" not in changed:
        changed.append("link")
    at_once = tuple(name for name in changed if name in AT_ONCE)
    return Changes(at_once, tuple(name for name in changed if name not in AT_ONCE))


def marks(link: LinkConfig | None) -> FileMarks:
    """Return what tells one version of the link's files from another."""
    if link is None:
        return {}
    files = (link.ca_file, link.cert_file, link.key_file, link.command_key_file)
    return {path: _mark(path) for path in files if path is not None}


def _mark(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # one call for all three
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
