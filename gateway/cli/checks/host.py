"""Checks of this machine: the configuration file, the disk, and who is asking."""

import os
import shutil
from pathlib import Path

from gateway.cli.checks.finding import Finding, fail, ok, warn
from gateway.config.check import warnings
from gateway.config.model import Config
from gateway.config.read import read
from gateway.control.peer import group_id
from gateway.errors import ConfigError

_MIB = 1024 * 1024


def configuration(path: Path) -> tuple[Config | None, list[Finding]]:
    """Read the configuration, for the other checks, too."""
    if not os.access(path, os.R_OK) and path.exists():
        return None, [warn("config", f"{path}: this user may not read it", "run doctor with sudo")]
    try:
        config = read(path)
    except ConfigError as error:
        return None, [
            fail("config", f"{key}: {problem}", f"correct {path}") for key, problem in error.problems
        ]
    notes = [warn("config", note, f"see {path}") for note in warnings(config)]
    return config, notes or [ok("config", f"{path} is valid")]


def disk(config: Config) -> list[Finding]:
    """Compare what is free with what the store may take."""
    folder = config.store.path.parent
    try:
        free = shutil.disk_usage(folder).free
        taken = config.store.path.stat().st_size if config.store.path.exists() else 0
    except OSError as error:
        return [warn("disk", f"{folder}: {error.strerror}", "run doctor with sudo; check gateway.state_dir")]
    wanted = max(0, config.store.max_bytes - taken)
    text = f"{folder}: {free // _MIB} MiB free, the store may still take {wanted // _MIB} MiB"
    if free < wanted:
        return [fail("disk", text, "free some space, or lower store.max_bytes")]
    return [ok("disk", text)]


def permission(group: str) -> list[Finding]:
    """Tell whether this user may actuate."""
    if os.geteuid() == 0:
        return [ok("permission", "root may actuate")]
    gid = group_id(group)
    if gid is None:
        return [
            warn(
                "permission", f"there is no group {group}; only root may actuate", f"sudo groupadd -r {group}"
            )
        ]
    if gid in {os.getegid(), *os.getgroups()}:
        return [ok("permission", f"this user is in group {group} and may actuate")]
    advice = f"sudo usermod -aG {group} $USER, then log in again"
    return [warn("permission", f"this user is not in group {group} and may only look", advice)]
