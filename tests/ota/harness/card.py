"""The memory card while nothing runs: a qcow2 file over an image."""

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ota.fat import SECTOR, partitions

_LAST_FAT = 3
_CARD = "4G"


class Card:
    """No machine may have it open when it is looked at.

    Args:
        path: The file.
        image: What it began as: raw, never written. An update does not change where its partitions are.
    """

    def __init__(self, path: Path, image: Path) -> None:
        self.path = path
        self._places = {part.number: part for part in partitions(image)}
        self._image = image

    def wipe(self) -> None:
        """Begin anew with the image on a card that is larger, as cards are."""
        self.path.unlink(missing_ok=True)
        backing = ["-b", str(self._image.absolute()), "-F", "raw"]
        words = ["qemu-img", "create", "-q", "-f", "qcow2", *backing, str(self.path), _CARD]
        subprocess.run(words, check=True)

    def copy_from(self, frozen: Path) -> None:
        """Become a copy of another card, with the frozen machine in it."""
        self.path.unlink(missing_ok=True)
        shutil.copyfile(frozen, self.path)

    def head(self, to: Path) -> None:
        """Copy the table and the FAT partitions, which is all that a firmware reads."""
        last = self._places[_LAST_FAT]
        self._copy(0, (last.start + last.sectors) * SECTOR, to)

    def summary(self, number: int) -> str:
        """Return a hash of a partition's content."""
        with self.partition(number) as file, file.open("rb") as data:
            return hashlib.file_digest(data, "sha256").hexdigest()

    @contextmanager
    def partition(self, number: int) -> Iterator[Path]:
        """Return a raw copy of a partition that ends with the block."""
        place = self._places[number]
        with tempfile.NamedTemporaryFile(dir=self.path.parent, prefix="partition-") as file:
            self._copy(place.start * SECTOR, place.sectors * SECTOR, Path(file.name))
            yield Path(file.name)

    def _copy(self, offset_bytes: int, size_bytes: int, to: Path) -> None:
        source = (
            f"driver=raw,offset={offset_bytes},size={size_bytes},"
            f"file.driver=qcow2,file.file.driver=file,file.file.filename={self.path}"
        )
        subprocess.run(["qemu-img", "convert", "-O", "raw", "--image-opts", source, str(to)], check=True)
