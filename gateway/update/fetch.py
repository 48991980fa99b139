"""Downloads a target into the spool, bit by bit over days if need be.

What lies in `NAME.part` is always the beginning of the file whose SHA-256 is in NAME, or rubbish, which the
whole digest shows. Facts: RFC 9110, sections 13.1.5 (If-Range), 14.2 (Range) and 14.4 (Content-Range).
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from gateway.domain.update.model import Code
from gateway.errors import StoreError, UpdateError
from gateway.update import keep
from gateway.update.part import PIECE_BYTES, Part, Stopped
from gateway.update.ports import Web, WebAnswer, WebRequest
from gateway.update.trust.target import Target, check_file

__all__ = ["PIECE_BYTES", "RESERVE_BYTES", "Download", "Stopped", "clean", "fetch"]

RESERVE_BYTES: Final = 128 << 20
"""Stays free, for the outbox and the journal."""
_STALL_S: Final = 60.0
_MORE_BYTES: Final = 1 << 20
"""So much too much still comes to `Part`, which says what is wrong."""
_OK: Final = 200
_PARTIAL: Final = 206
_NOT_SATISFIABLE: Final = 416
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


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
        if _is_there(path, wanted.target):
            return path
        return _fetched(web, wanted, path)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}") from None


def clean(folder: Path, target: Target | None = None) -> None:
    """Remove what belongs to other targets; one at a time is wanted. Raises OSError."""
    kept = {target.file_name, f"{target.file_name}.part"} if target is not None else set()
    if folder.is_dir():
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


def _fetched(web: Web, wanted: Download, path: Path) -> Path:
    draft = path.with_name(f"{path.name}.part")
    begun = draft.lstat().st_size if draft.exists() else 0
    if begun > wanted.target.length_bytes:
        draft.unlink()
        begun = 0
    _require_space(wanted, wanted.target.length_bytes - begun)
    _read(web, wanted, draft)
    if begun and not _is_there(draft, wanted.target):
        _read(web, wanted, draft)  # the beginning was rubbish
    if not _is_there(draft, wanted.target):
        raise UpdateError(Code.UNTRUSTED, f"the server's {wanted.target.path} is not what was signed")
    draft.rename(path)
    keep.sync_folder(path.parent)
    return path


def _require_space(wanted: Download, missing_bytes: int) -> None:
    """Raise UpdateError (NO_SPACE) unless what is missing fits and the reserve remains."""
    disk = os.statvfs(wanted.folder)
    free_bytes, needed_bytes = disk.f_bavail * disk.f_frsize, missing_bytes + wanted.reserve_bytes
    if free_bytes < needed_bytes:
        mib = 1 << 20
        detail = f"{wanted.folder} has {free_bytes // mib} MiB free; {needed_bytes // mib} MiB are needed"
        raise UpdateError(Code.NO_SPACE, detail, passing=True)


def _read(web: Web, wanted: Download, draft: Path) -> None:
    """Read what is missing."""
    if wanted.stop():
        raise Stopped
    with Part(draft, wanted.target.length_bytes, wanted.stop, wanted.on_percent) as part:
        if part.size_bytes and part.size_bytes < wanted.target.length_bytes:
            try:
                _ask(web, wanted, part)
            except _NoRange:
                part.restart()
        if part.size_bytes < wanted.target.length_bytes and not part.size_bytes:
            _ask(web, wanted, part)
        if part.size_bytes < wanted.target.length_bytes:
            whole_bytes = wanted.target.length_bytes
            detail = f"{wanted.target.path}: {part.size_bytes} of {whole_bytes} bytes have come"
            raise UpdateError(Code.UNREACHABLE, detail, passing=True)


class _NoRange(Exception):  # noqa: N818  # a turn, not a failure
    """What the server offers cannot be appended."""


def _ask(web: Web, wanted: Download, part: Part) -> None:
    """Append what the server has, from where we are, or from the start if it knows no ranges."""
    begun = part.size_bytes
    # no If-Range is needed: the name is the digest, so that another content has another address
    headers = {"accept-encoding": "identity"} | ({"range": f"bytes={begun}-"} if begun else {})

    def head(answer: WebAnswer) -> None:
        if answer.status == _OK:
            _require_length(answer, wanted.target.length_bytes)
            part.restart()
        elif answer.status == _PARTIAL and begun:
            _require_range(answer, begun, wanted.target.length_bytes)
        else:
            _refuse(answer, wanted.target, begun)

    answer = web.read(
        WebRequest(wanted.target.server_path, headers=headers),
        part.take,
        stall_s=_STALL_S,
        max_bytes=wanted.target.length_bytes + _MORE_BYTES,
        head=head,
    )
    if answer.status not in (_OK, _PARTIAL):
        _refuse(answer, wanted.target, begun)


def _require_length(answer: WebAnswer, length_bytes: int) -> None:
    said = answer.headers.get("content-length", "")
    if said.isascii() and said.isdigit() and int(said) > length_bytes:
        detail = f"the server has {said[:20]} bytes, and {length_bytes} were signed"
        raise UpdateError(Code.UNTRUSTED, detail)


def _require_range(answer: WebAnswer, begun: int, length_bytes: int) -> None:
    found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
    if found is None or int(found[1]) != begun or found[3] not in ("*", str(length_bytes)):
        raise _NoRange


def _refuse(answer: WebAnswer, target: Target, begun: int) -> NoReturn:
    if begun and answer.status == _NOT_SATISFIABLE:
        raise _NoRange
    detail = f"the server answers {answer.status} for {target.server_path}"
    raise UpdateError(Code.UNREACHABLE, detail, passing=True)
