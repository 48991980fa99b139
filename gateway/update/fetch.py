"""Downloads a target into the spool, bit by bit over days if need be.

What lies in `NAME.part` is always the beginning of the file whose SHA-256 is in NAME, or rubbish, which the
whole digest shows. Of a system, what the former one has, too, is copied from there (ADR 20).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.domain.update.model import Code
from gateway.errors import StoreError, UpdateError
from gateway.update import chunks, difference, former, keep, room
from gateway.update.asking import Asking, NoRange
from gateway.update.chunks import Chunk
from gateway.update.difference import Run
from gateway.update.former import Former
from gateway.update.part import PIECE_BYTES, Part, Stopped
from gateway.update.ports import Web
from gateway.update.trust.target import Target, check_file

__all__ = ["PIECE_BYTES", "RESERVE_BYTES", "Download", "Stopped", "clean", "fetch"]

RESERVE_BYTES: Final = 128 << 20
"""Stays free, for the outbox and the journal."""
_MB: Final = 1e6
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Download:
    """How a download goes.

    Args:
        target: What is wanted.
        folder: The spool's `targets`.
        stop: Asked before each piece; True ends the download for now.
        on_percent: Told how far it has come.
        reserve_bytes: Of the disk, which the download leaves free.
    """

    target: Target
    folder: Path
    stop: Callable[[], bool] = lambda: False
    on_percent: Callable[[int], None] = lambda _: None
    reserve_bytes: int = RESERVE_BYTES


def fetch(web: Web, wanted: Download) -> Path:
    """Return the file, whole and verified; goes on where an earlier call has ended.

    Blocks: called in a thread. No more than one piece of it is in memory.

    Raises:
        UpdateError: UNREACHABLE (passing), NO_SPACE (passing), or UNTRUSTED: what the server has is not what
            was signed; it has been removed.
        Stopped: `wanted.stop` said so.
        StoreError: The disk does not take it.
    """
    path = wanted.folder / wanted.target.file_name
    try:
        keep.folder(wanted.folder)
        clean(wanted.folder, wanted.target)
        if not _is_there(path, wanted.target):
            _fetch(web, wanted, path)
        if chunks.may_have_list(wanted.target):
            # from now on this is what the next one has most of; the applier needs the room for its copy
            former.forget(wanted.folder, besides=path.name)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from None
    return path


def clean(folder: Path, target: Target | None = None) -> None:
    """Remove what belongs to other targets but the former system; one at a time is wanted. Raises OSError."""
    if not folder.is_dir():
        return
    name = target.file_name if target is not None else ""
    kept = {name, f"{name}.part", chunks.list_of(name)}
    if (source := former.find(folder, besides=name)) is not None:
        kept |= {source.name, chunks.list_of(source.name)}
    for path in folder.iterdir():
        if path.name not in kept and not path.is_dir():
            path.unlink(missing_ok=True)


def _is_there(path: Path, target: Target) -> bool:
    if not path.exists():
        return False
    try:
        check_file(path, target)
    except UpdateError:
        path.unlink()
        return False
    return True


def _fetch(web: Web, wanted: Download, path: Path) -> None:
    draft, target = path.with_name(f"{path.name}.part"), wanted.target
    begun = draft.lstat().st_size if draft.exists() else 0
    if begun > target.length_bytes:
        draft.unlink()
        begun = 0
    room.make(wanted.folder, target.length_bytes - begun, wanted.reserve_bytes, path.name)
    asking = Asking(web, target)
    listed = _listed(asking, path, target)
    with former.opened(wanted.folder, besides=path.name) as source:
        is_copied = _read(wanted, asking, draft, source, listed)
    is_sound = _is_there(draft, target)
    if not is_sound and (begun or is_copied):  # the beginning was rubbish, or a list or the former file lied
        if is_copied:
            former.forget(wanted.folder, besides=path.name)
            keep.remove(path.with_name(chunks.list_of(path.name)))
        _read(wanted, asking, draft)
        is_sound = _is_there(draft, target)
    if not is_sound:
        raise UpdateError(Code.UNTRUSTED, f"the server's {target.path} is not what was signed")
    draft.rename(path)
    keep.sync_folder(path.parent)
    _tell(asking.come_bytes, target)


def _listed(asking: Asking, path: Path, target: Target) -> list[Chunk]:
    """Return the chunks of what is wanted, and keep their list; none if there is no list that fits."""
    if not chunks.may_have_list(target):
        return []
    if found := chunks.parse(former.kept_list(path), target.length_bytes):
        return found
    data = asking.list_of_chunks()
    if found := chunks.parse(data, target.length_bytes):
        keep.write(path.with_name(chunks.list_of(path.name)), data)
    return found


def _read(
    wanted: Download, asking: Asking, draft: Path, source: Former | None = None, listed: Sequence[Chunk] = ()
) -> bool:
    """Read what is missing; return whether some of it came from the former system."""
    if wanted.stop():
        raise Stopped
    whole_bytes, is_copied = wanted.target.length_bytes, False
    with Part(draft, whole_bytes, wanted.stop, wanted.on_percent) as part:
        runs = _plan(wanted, part.size_bytes, source, listed) if source is not None else []
        try:
            for run in runs:
                if run.end_bytes <= part.size_bytes:
                    break  # all of it came at once
                if run.is_here and source is not None:
                    is_copied = True
                    if not _copy(run, part, source):
                        break
                else:
                    asking.append(part, run.end_bytes)
            if part.size_bytes < whole_bytes:
                asking.append(part, whole_bytes)
        except NoRange:
            part.restart()
            asking.append(part, whole_bytes)
    return is_copied


def _plan(wanted: Download, begun: int, source: Former, listed: Sequence[Chunk]) -> list[Run]:
    """Return what to do; what the former system has is read now, so that it counts only if it is sound."""

    def is_here(chunk: Chunk) -> bool:
        if wanted.stop():
            raise Stopped
        return source.has(chunk)

    return difference.runs([chunk for chunk in listed if chunk.end_bytes > begun], is_here)


def _copy(run: Run, part: Part, source: Former) -> bool:
    """Append a run from the former system; False where that has changed meanwhile."""
    for chunk in run.chunks:
        data = source.read(chunk)
        if data is None:
            return False
        part.take(data[part.size_bytes - chunk.begin_bytes :])
    return True


def _tell(come_bytes: int, target: Target) -> None:
    come_mb, whole_mb = come_bytes / _MB, target.length_bytes / _MB
    if come_bytes < target.length_bytes:
        _log.info("fetched %.1f MB of %.1f MB; the rest was here", come_mb, whole_mb)
    else:
        _log.info("fetched %.1f MB", come_mb)
