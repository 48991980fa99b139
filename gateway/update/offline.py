"""Takes a `.reed-update` file apart: metadata and one target, brought by hand.

Nothing in it is believed here; it goes into the spool like a download and is verified like one.
"""

import json
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from gateway.domain.update.model import Code, Kind
from gateway.errors import StoreError, UpdateError
from gateway.update import keep, room
from gateway.update.fetch import RESERVE_BYTES, clean
from gateway.update.part import Part
from gateway.update.trust.target import VERSION, check_path

_METADATA: Final = re.compile(r"metadata/([0-9]{1,9}\.[a-z]{1,20}|timestamp)\.json")
_TARGET: Final = re.compile(r"targets/([0-9a-f]{64}\.[A-Za-z0-9._+~-]{1,150})")
_ORDER: Final = "update.json"
_METADATA_MAX_BYTES: Final = 5 << 20
_MEMBERS_MAX: Final = 300
_READ_BYTES: Final = 256 << 10
_BROKEN: Final = (ValueError, OverflowError, IndexError, KeyError)
"""What else `tarfile` raises over headers that make no sense."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What the file says it has; nobody has signed this."""

    kind: Kind
    target: str
    version: str
    downgrade: bool = False


def unpack(
    file: Path, spool: Path, *, reserve_bytes: int = RESERVE_BYTES, stream: BinaryIO | None = None
) -> Brought:
    """Put its content into the spool, in place of what is there; return what it is.

    Args:
        file: Where it is.
        spool: The runner's.
        reserve_bytes: Stays free.
        stream: The file, opened by somebody who may read what we may not.

    Raises:
        UpdateError: It is no such file (INVALID), or there is no room for it (NO_SPACE).
        StoreError: It cannot be read, or the disk does not take it.
    """
    try:
        with tarfile.open(file, "r:", fileobj=stream) as archive:
            return _unpacked(archive, file, spool, reserve_bytes)
    except (tarfile.TarError, *_BROKEN):
        raise UpdateError(Code.INVALID, f"{file}: is no update file (made by `reed-ota export`)") from None
    except OSError as error:
        raise StoreError(f"{file}: {error.strerror or error}") from None


def _unpacked(archive: tarfile.TarFile, file: Path, spool: Path, reserve_bytes: int) -> Brought:
    brought: Brought | None = None
    targets = keep.folder(spool / "targets")
    metadata = keep.folder(spool / "metadata")
    clean(targets)
    clean(metadata)
    for count, member in enumerate(archive, 1):
        if not member.isreg() or count > _MEMBERS_MAX:
            raise UpdateError(
                Code.INVALID, f"{file}: {member.name[:80]!a} does not belong into an update file"
            )
        if member.name == _ORDER:
            brought = _brought(_small(archive, member), file)
        elif _METADATA.fullmatch(member.name):
            data = _small(archive, member)
            room.make(targets, len(data), reserve_bytes)
            keep.write(metadata / Path(member.name).name, data)
        elif found := _TARGET.fullmatch(member.name):
            room.make(targets, member.size, reserve_bytes)
            _copy(archive, member, targets / found[1])
        else:
            raise UpdateError(
                Code.INVALID, f"{file}: {member.name[:80]!a} does not belong into an update file"
            )
    if brought is None:
        raise UpdateError(Code.INVALID, f"{file}: does not say what it is ({_ORDER} is missing)")
    return brought


def _small(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    if member.size > _METADATA_MAX_BYTES or stream is None:
        raise UpdateError(Code.INVALID, f"{member.name} is too large")
    return stream.read()


def _copy(archive: tarfile.TarFile, member: tarfile.TarInfo, to: Path) -> None:
    """Write it under its own name only once it is whole."""
    draft = to.with_name(f"{to.name}.part")
    stream = archive.extractfile(member)
    with Part(draft, member.size, lambda: False, lambda _: None) as part:
        while stream is not None and (data := stream.read(_READ_BYTES)):
            part.take(data)
    draft.rename(to)
    keep.sync_folder(to.parent)


def _brought(data: bytes, file: Path) -> Brought:
    try:
        said = json.loads(data)
        brought = Brought(Kind(said["kind"]), said["target"], said["version"], said.get("downgrade") is True)
        check_path(brought.target)
        is_sound = VERSION.fullmatch(brought.version) is not None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UpdateError):
        is_sound = False
    if not is_sound:
        raise UpdateError(Code.INVALID, f"{file}: {_ORDER} in it is broken")
    return brought
