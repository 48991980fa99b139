"""Hands verified metadata on to the applier: a folder that looks like the server's `metadata/`."""

import json
from pathlib import Path
from typing import Final

from gateway.errors import StoreError
from gateway.update import keep
from gateway.update.trust.memory import Known

_UNNUMBERED: Final = "timestamp.json"


def hand_on(known: Known, folder: Path) -> None:
    """Make `folder` hold these metadata and nothing else; the timestamp, which leads to all, comes last.

    Raises:
        StoreError: The disk does not take them.
    """
    wanted = {f"{version}.root.json": text for version, text in known.roots.items()}
    for name, text in known.metadata.items():
        if name not in ("root.json", _UNNUMBERED):
            wanted[f"{json.loads(text)['signed']['version']}.{name}"] = text
    if _UNNUMBERED in known.metadata:
        wanted[_UNNUMBERED] = known.metadata[_UNNUMBERED]
    keep.folder(folder)
    for name, text in wanted.items():
        if not _holds(folder / name, text):
            keep.write(folder / name, text.encode())
    try:
        for path in folder.iterdir():
            if path.name not in wanted:
                path.unlink()
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror or error}") from None


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_text() == text
    except (OSError, ValueError):
        return False
