"""One target with all metadata in one file, for a gateway that no network reaches."""

import io
import json
import tarfile
from pathlib import Path

from ota import files, repository, sealing
from ota.adding import target_file
from ota.errors import OtaError
from ota.passphrase import Passphrase
from ota.repository import Repository
from ota.roles import KINDS, ROOT, TARGETS

DAYS = 14.0
"""For so long the file can be installed; whoever holds a newer one back from a gateway has so long, too."""


def export(repo: Repository, target: str, to: Path, passphrase: Passphrase, days: float = DAYS) -> None:
    """Write a `.reed-update` file.

    Its snapshot and timestamp hold longer than those that are published and have numbers of their own; the
    repository is sealed again afterwards, so that what is published next is newer.

    Raises:
        OtaError: There is no such target, or the file cannot be written.
    """
    kind = target.partition("/")[0]
    if kind not in KINDS:
        raise OtaError(f"{target}: there is no such target; `reed-ota show` lists them")
    role = repository.read(repo.published_file(kind))
    if target not in role.signed.targets:
        raise OtaError(f"{target}: there is no such target; `reed-ota show` lists them")
    info = role.signed.targets[target]
    file = target_file(repo.targets, target, info.hashes["sha256"])
    snapshot, timestamp = sealing.seal(repo, passphrase, days=days)
    members = _metadata(repo, kind)
    members[f"metadata/{snapshot.signed.version}.snapshot.json"] = repository.text(snapshot)
    members["metadata/timestamp.json"] = repository.text(timestamp)
    sealing.seal(repo, passphrase, renew=True)
    said = {"kind": kind, "target": target, "version": info.custom["version"]}
    said |= {"downgrade": True} if info.custom.get("downgrade") else {}
    try:
        _write(to, {"update.json": json.dumps(said).encode(), **members}, file)
    except OSError as error:
        raise OtaError(f"{to}: {error.strerror or error}") from None


def _metadata(repo: Repository, kind: str) -> dict[str, bytes]:
    """Return every root, and the newest of targets and of one kind."""
    paths = [repo.metadata / f"{version}.root.json" for version in repo.versions(ROOT)]
    paths += [repo.published_file(TARGETS), repo.published_file(kind)]
    return {f"metadata/{path.name}": files.read(path) for path in paths}


def _write(to: Path, members: dict[str, bytes], file: Path) -> None:
    draft = to.with_name(f".{to.name}.new")
    with tarfile.open(draft, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        entry = tarfile.TarInfo(f"targets/{file.name}")
        entry.size = file.stat().st_size
        with file.open("rb") as stream:
            archive.addfile(entry, stream)
    draft.rename(to)
