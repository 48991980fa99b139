"""Keys of `[store]`: where the file is, how much it may hold, when it is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.errors import ConfigError

_KIB = 1024
_MIB = 1024 * _KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """How the store uses the disk.

    Args:
        path: The SQLite file; its folder must exist and be writable.
        max_bytes: What outbox, journal and memory may take together, on disk and in RAM.
        max_ram_bytes: The part of `max_bytes` that may wait in RAM, for the next commit or a sick disk.
        commit_after_s: Telemetry, state and counters reach the disk at the latest after this time.
        commit_rows: ... or as soon as this many rows wait.
        receipts: "cloud": a message leaves when the cloud says that it holds it; "broker": at PUBACK.
        journal_entries: The journal keeps this many; older ones leave, their hash stays as the anchor.
        claims: This many executed commands are remembered by id; older ones are refused by their date.
        open_wait_s: The start waits this long for the disk, then protection runs without it.
        claim_wait_s: A command waits this long for the disk to promise "at most once".
        stall_after_s: A commit that takes longer is reported, and alarms may leave from RAM.
        close_wait_s: The stop waits this long for the last commit.
    """

    path: Path
    max_bytes: int = 64 * _MIB
    max_ram_bytes: int = 8 * _MIB
    commit_after_s: float = 30.0
    commit_rows: int = 100
    receipts: Literal["cloud", "broker"] = "cloud"
    journal_entries: int = 20_000
    claims: int = 4_096
    open_wait_s: float = 2.0
    claim_wait_s: float = 2.0
    stall_after_s: float = 3.0
    close_wait_s: float = 3.0

    def __post_init__(self) -> None:
        if problems := tuple(_problems(self)):
            raise ConfigError(*problems)


def _problems(config: Config) -> list[tuple[str, str]]:
    found = []
    if config.max_ram_bytes < 256 * _KIB:
        found.append(("max_ram_bytes", f"must be at least {256 * _KIB}, two messages of the largest size"))
    if config.max_bytes < 2 * config.max_ram_bytes:
        found.append(("max_bytes", "must be at least twice max_ram_bytes"))
    if config.receipts not in ("cloud", "broker"):
        found.append(("receipts", 'must be "cloud" or "broker"'))
    found += [
        (key, "must be at least 1")
        for key in ("commit_rows", "journal_entries", "claims")
        if getattr(config, key) < 1
    ]
    found += [
        (key, "must be more than 0")
        for key in ("commit_after_s", "open_wait_s", "claim_wait_s", "stall_after_s", "close_wait_s")
        if not getattr(config, key) > 0
    ]
    return found
