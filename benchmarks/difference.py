"""What an update fetches when one file of the system has changed, as a share of the bundle.

python -m benchmarks.difference                  a model of a bundle: blocks that are compressed one by one
python -m benchmarks.difference FORMER NEXT      two bundles, as `make bundle` makes them
"""

import random
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks.report import Row, at_most, show
from gateway.update import fetch
from gateway.update.chunks import list_of
from gateway.update.trust.target import Target
from ota import chunks as lists
from ota import files
from tests.fakes.ota.web import FileWeb

FILES = 300
BLOCK_BYTES = 64 << 10
MOST_PERCENT = 5.0


def bundle(changed: int | None = None) -> Iterator[bytes]:
    """Yield the compressed blocks of a system of which one file has another content, and their table."""
    table = []
    for number in range(FILES):
        dice = random.Random(number if number != changed else -1)  # noqa: S311
        letters = bytes(dice.choices(range(64), k=dice.randrange(1_000, 300_000)))
        for begin in range(0, len(letters), BLOCK_BYTES):
            block = zlib.compress(letters[begin : begin + BLOCK_BYTES], 1)
            table.append(len(block).to_bytes(4, "little"))
            yield block
    yield zlib.compress(b"".join(table), 1)


class Server:
    """What is released here is fetched into one spool."""

    def __init__(self, folder: Path) -> None:
        self.web = FileWeb(folder / "www", piece_bytes=BLOCK_BYTES)
        self.spool = folder / "spool"

    def fetched(self, file: Path) -> tuple[int, int, int]:
        """Fetch a bundle; return how much has come of it, its list included, its size, and the requests."""
        target = Target(f"os/{file.name}", file.stat().st_size, files.sha256(file), {"kind": "os"})
        served = self.web.folder / target.server_path.lstrip("/")
        served.parent.mkdir(parents=True, exist_ok=True)
        served.symlink_to(file.resolve())
        listed = lists.made(file)
        (self.web.folder / list_of(target.server_path.lstrip("/"))).write_bytes(listed)
        sent_bytes, asked = self.web.sent_bytes, len(self.web.asked)
        fetch.fetch(self.web, fetch.Download(target, self.spool))
        come_bytes = self.web.sent_bytes - sent_bytes + len(listed)
        return come_bytes, target.length_bytes, len(self.web.asked) - asked


def measure(former: Path | None = None, changed: Path | None = None) -> Iterator[Row]:
    """Yield the share of a bundle that has to come when one like it is here."""
    with tempfile.TemporaryDirectory(prefix="reed-bench-") as name:
        folder = Path(name)
        if former is None or changed is None:
            former, changed = folder / "1.raucb", folder / "2.raucb"
            former.write_bytes(b"".join(bundle()))
            changed.write_bytes(b"".join(bundle(FILES // 2)))
        server = Server(folder)
        server.fetched(former)
        come_bytes, whole_bytes, requests = server.fetched(changed)
    detail = f"{come_bytes:,} of {whole_bytes:,} bytes with the list, {requests} requests"
    percent = come_bytes / whole_bytes * 100
    yield at_most("fetched for a one-file change / the bundle", percent, MOST_PERCENT, "%", detail)


if __name__ == "__main__":
    show(measure(*map(Path, sys.argv[1:3])))
