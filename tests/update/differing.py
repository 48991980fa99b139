"""A server with systems that have most of their blocks in common, and a gateway's spool."""

import hashlib
import random
from pathlib import Path

from gateway.update import fetch
from gateway.update.chunks import list_of
from gateway.update.fetch import Download
from gateway.update.trust.target import Target
from ota import chunks as lists
from tests.fakes.ota.web import FileWeb

BLOCK_BYTES = 64 << 10
_RANDOM = random.Random(7)  # noqa: S311  # blocks as a compressor leaves them
_BLOCKS = [_RANDOM.randbytes(BLOCK_BYTES) for _ in range(128)]
OLD = b"".join(_BLOCKS)
NEW = b"".join([*_BLOCKS[:50], _RANDOM.randbytes(50_001), *_BLOCKS[51:]])
"""One block is another, of another length: all behind it has moved."""
NEXT = b"".join([*_BLOCKS[:50], _RANDOM.randbytes(9), *_BLOCKS[51:90], _RANDOM.randbytes(77), *_BLOCKS[90:]])
OTHER = _RANDOM.randbytes(len(OLD))
"""Has nothing in common with the others."""
LITTLE = 0.05
"""Share of a file, as the issue has it."""


class Rig:
    """Releases and fetches.

    Args:
        folder: For both sides.
    """

    def __init__(self, folder: Path) -> None:
        self.www = folder / "www"
        self.web = FileWeb(self.www)
        self.spool = folder / "spool"
        self.percents: list[int] = []
        self.stop_after = 1 << 60

    def release(self, data: bytes, name: str = "os/reed.raucb", *, listed: bool = True) -> Target:
        target = Target(name, len(data), hashlib.sha256(data).hexdigest(), {"kind": name.partition("/")[0]})
        file = self.www / target.server_path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        if listed:
            self.list_file(target).write_bytes(lists.made(file))
        return target

    def list_file(self, target: Target) -> Path:
        """Where the server has the list."""
        return self.www / list_of(target.server_path.lstrip("/"))

    def part(self, target: Target) -> Path:
        return self.spool / f"{target.file_name}.part"

    def fetch(self, target: Target, reserve_bytes: int = 0) -> Path:
        self.percents.clear()
        return fetch.fetch(
            self.web,
            Download(
                target,
                self.spool,
                lambda: self.web.sent_bytes >= self.stop_after,
                self.percents.append,
                reserve_bytes,
            ),
        )

    def come_bytes(self, target: Target) -> int:
        """Fetch it and return how much of it the server had to send, its list included."""
        before = self.web.sent_bytes
        data = self.fetch(target).read_bytes()
        assert hashlib.sha256(data).hexdigest() == target.sha256
        list_file = self.list_file(target)
        return self.web.sent_bytes - before + (list_file.stat().st_size if list_file.exists() else 0)

    def names(self) -> list[str]:
        """What lies in the spool, the digests' first letters only."""
        return sorted(path.name[:4] + path.name[64:] for path in self.spool.iterdir())


def names(*targets: Target) -> list[str]:
    """What lies in a spool that has these, each with its list."""
    files = [f"{target.sha256[:4]}.{target.file_name[65:]}" for target in targets]
    return sorted([*files, *(list_of(file) for file in files)])
