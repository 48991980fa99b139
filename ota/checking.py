"""Looks at a repository, or where one was published, as a gateway would that knows only a root."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata, TargetFile
from tuf.ngclient.fetcher import FetcherInterface
from tuf.ngclient.updater import Updater

from ota import chunks, files, repository
from ota.adding import target_file
from ota.errors import OtaError
from ota.roles import DAYS, KINDS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP

_DAY_S = 86_400.0
_SHARE = 0.25
"""A signature that lives shortly anyway is warned of in the last quarter of its life."""


@dataclass(frozen=True, slots=True)
class Found:
    """What there is: `expiries` by role, `targets` by path, and `warnings`."""

    expiries: dict[str, datetime] = field(default_factory=dict)
    targets: dict[str, TargetFile] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def check(folder: Path, *, root: Path | None = None, warn_days: float = 14.0) -> Found:
    """Verify the whole: every signature, number, expiry and digest.

    Args:
        folder: With metadata/ and targets/.
        root: That a gateway was given; None is the first one in the folder.
        warn_days: What ends within so many days is warned of; and a list of chunks that is missing or wrong.

    Raises:
        OtaError: A gateway would refuse something; the message says what.
    """
    begun = root or folder / "metadata" / "1.root.json"
    if not begun.exists():
        raise OtaError(f"{begun}: there is no root to begin with; is this a repository?")
    with tempfile.TemporaryDirectory(prefix="reed-ota-") as name:
        place = Path(name)
        (place / "root.json").write_bytes(files.read(begun))
        try:
            updater = Updater(str(place), "metadata/", fetcher=_Folder(folder / "metadata"))
            updater.refresh()
            found = Found()
            for role, metadata in _roles(updater, place):
                found.expiries[role] = metadata.signed.expires
                for path in getattr(metadata.signed, "targets", {}):
                    found.targets[path] = _whole(updater, folder, role, path)
        except (RepositoryError, DownloadError) as error:
            raise OtaError(f"{folder}: a gateway would refuse it: {' '.join(str(error).split())}") from None
    found.warnings.extend(_ending(found, warn_days))
    found.warnings.extend(_unlisted(found, folder))
    return found


class _Folder(FetcherInterface):
    """Gives metadata from a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = self._folder / url.removeprefix("metadata/")
        if not path.exists():
            raise DownloadHTTPError(f"{path.name} is missing", 404)
        return iter((path.read_bytes(),))


def _roles(updater: Updater, place: Path) -> Iterator[tuple[str, Metadata[Any]]]:
    """Return what was verified, by role; asking for a target of a kind makes its role be verified."""
    for kind in KINDS:
        updater.get_targetinfo(f"{kind}/-")
    for role in (ROOT, TARGETS, *KINDS, SNAPSHOT, TIMESTAMP):
        yield role, repository.read(place / f"{role}.json")


def _whole(updater: Updater, folder: Path, role: str, path: str) -> TargetFile:
    """Return a target whose file is there, to the last bit."""
    info = updater.get_targetinfo(path)
    if info is None:
        raise OtaError(f"{path}: {role} signs it and may not; a gateway never looks there")
    digest = info.hashes.get("sha256", "")
    file = target_file(folder / "targets", path, digest)
    if not file.exists():
        raise OtaError(f"{file}: is missing")
    if file.stat().st_size != info.length or files.sha256(file) != digest:
        raise OtaError(f"{file}: is not what was signed")
    if info.custom is None or info.custom.get("kind") != role or not info.custom.get("version"):
        raise OtaError(f"{path}: is signed without its kind and version")
    return info


def _unlisted(found: Found, folder: Path) -> Iterator[str]:
    systems = {path: info for path, info in found.targets.items() if path.startswith(f"{chunks.KIND}/")}
    for path, info in systems.items():
        if fault := chunks.fault(target_file(folder / "targets", path, info.hashes["sha256"])):
            yield f"{path} {fault}"


def _ending(found: Found, warn_days: float) -> Iterator[str]:
    now = datetime.now(UTC)
    for role, expires in found.expiries.items():
        left_days = (expires - now).total_seconds() / _DAY_S
        if left_days < min(warn_days, DAYS[role] * _SHARE):
            yield f"{role} ends in {left_days:.1f} days ({expires:%Y-%m-%d %H:%M} UTC)"
