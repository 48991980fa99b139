"""Puts a file into the repository and into the draft of its kind's role."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuf.api.metadata import TargetFile

from ota import chunks, files
from ota.errors import OtaError
from ota.repository import Repository
from ota.roles import KINDS

_NAME = re.compile(r"[A-Za-z0-9_+~-][A-Za-z0-9._+~-]{0,99}")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~:-]{0,63}")


@dataclass(frozen=True, slots=True)
class Release:
    """What is released.

    Args:
        kind: "os", "app" or "config".
        file: That gateways get.
        version: Of what is in it; a gateway refuses one that is older than its own.
        compatible: The machine that it is for (RAUC's word); "" for any.
        gateway: The one gateway that it is for; "" for any.
        min_version: That a gateway must have before.
        downgrade: An order may install it over a newer one; app and config only.
    """

    kind: str
    file: Path
    version: str
    compatible: str = ""
    gateway: str = ""
    min_version: str = ""
    downgrade: bool = False

    @property
    def path(self) -> str:
        """Where the metadata name it."""
        name = self.file.name
        return f"{self.kind}/{self.gateway}/{name}" if self.gateway else f"{self.kind}/{name}"

    @property
    def custom(self) -> dict[str, Any]:
        """What is signed beside length and digest."""
        said = {
            "kind": self.kind,
            "version": self.version,
            "compatible": self.compatible,
            "gateway": self.gateway,
            "min_version": self.min_version,
            "downgrade": self.downgrade,
        }
        return {key: value for key, value in said.items() if value}


def add(repo: Repository, release: Release) -> str:
    """Copy the file, name it in the draft and return its path.

    Raises:
        OtaError: It is no file, or what is said of it cannot be.
    """
    _check(release)
    metadata = repo.begin_draft(release.kind)
    known = metadata.signed.targets.get(release.path)
    try:
        digest, length_bytes = files.sha256(release.file), release.file.stat().st_size
        if known is not None and known.hashes.get("sha256") != digest:
            raise OtaError(f"{release.path}: is released with another content; choose another file name")
        files.copy(release.file, target_file(repo.targets, release.path, digest))
        chunks.complete(repo.targets)
    except OSError as error:
        raise OtaError(f"{release.file}: {error.strerror or error}") from None
    metadata.signed.targets[release.path] = TargetFile(
        length_bytes, {"sha256": digest}, release.path, {"custom": release.custom}
    )
    repo.write_draft(release.kind, metadata)
    return release.path


def remove(repo: Repository, path: str) -> None:
    """Take a target out of the draft; gateways no longer get it. Raises OtaError if there is none."""
    kind = path.partition("/")[0]
    if kind not in KINDS or path not in repo.latest(kind).signed.targets:
        raise OtaError(f"{path}: there is no such target; `reed-ota show` lists them")
    metadata = repo.begin_draft(kind)
    del metadata.signed.targets[path]
    repo.write_draft(kind, metadata)


def target_file(folder: Path, path: str, digest: str) -> Path:
    """Return where a target lies, as consistent snapshots want it."""
    kind, _, name = path.rpartition("/")
    return folder / kind / f"{digest}.{name}"


def _check(release: Release) -> None:
    if release.kind not in KINDS:
        raise OtaError(f"{release.kind!r} is no kind; choose from {', '.join(KINDS)}")
    for name in filter(None, (release.file.name, release.gateway)):
        if not _NAME.fullmatch(name):
            raise OtaError(f'{name!r} is no name of a target; use letters, digits and "._+~-"')
    if chunks.is_list(release.file.name):
        raise OtaError(f"{release.file.name!r} would be taken for a list of chunks; choose another name")
    for version in filter(None, (release.version, release.min_version)):
        if not _VERSION.fullmatch(version):
            raise OtaError(f"{version!r} is no version, e.g. 1.4.0 or 1.4.0~rc1; it begins with a digit")
    if release.kind == "config" and not release.gateway:
        raise OtaError("a configuration is for one gateway; give --gateway")
    if release.downgrade and release.kind == "os":
        raise OtaError("a system is never downgraded; release the old content under a new version")
