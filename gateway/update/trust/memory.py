"""What this process has come to trust: metadata and roots in one file, and that file's predecessor.

python-tuf keeps its metadata in a folder and does not fsync. Here its folder is a passing one; what it has
verified is kept in one file that is replaced as a whole, with its own digest in the first line. A file that
a power cut has spoilt is noticed, and the former one counts: the newest versions seen may be forgotten by
one step, never all at once.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.update import keep

_NAME: Final = "trusted"
_FORMER: Final = "trusted.former"
_MAX_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Known:
    """Metadata by file name ("root.json", "timestamp.json", …) and each root ever believed, by version."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    roots: Mapping[int, str] = field(default_factory=dict)


class Memory:
    """Keeps it in a folder, which is made. Raises StoreError."""

    def __init__(self, folder: Path) -> None:
        self._folder = keep.folder(folder)

    def read(self) -> Known:
        """Return what was written last and is whole; nothing if there is none."""
        for name in (_NAME, _FORMER):
            known = _unpacked(keep.read(self._folder / name, _MAX_BYTES))
            if known is not None:
                return known
        return Known()

    def write(self, known: Known) -> None:
        """Keep it; nothing is written if it is as before, for the sake of the card."""
        path = self._folder / _NAME
        data, present = _packed(known), keep.read(path, _MAX_BYTES)
        if present == data:
            return
        if _unpacked(present) is not None:
            keep.write(self._folder / _FORMER, present)
        keep.write(path, data)


def _packed(known: Known) -> bytes:
    roots = {str(version): text for version, text in known.roots.items()}
    body = json.dumps({"metadata": dict(known.metadata), "roots": roots}, sort_keys=True).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _unpacked(data: bytes) -> Known | None:
    digest, _, body = data.partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return None
    found = json.loads(body)
    return Known(found["metadata"], {int(version): text for version, text in found["roots"].items()})
