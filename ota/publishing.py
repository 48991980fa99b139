"""Copies what is complete to where gateways fetch it."""

from pathlib import Path

from ota import chunks, files, repository, sealing
from ota.errors import OtaError
from ota.repository import Repository
from ota.roles import TIMESTAMP


def publish(repo: Repository, dest: Path) -> int:
    """Bring a folder up to date and return how many files were new.

    Targets come first, with the lists of their chunks, then numbered metadata, and last the timestamp, which
    leads to all of it: whoever fetches meanwhile sees the former state or the new one.

    Raises:
        OtaError: Nothing is staged or sealed, the folder is newer than we are or of another copy of this
            repository, or it cannot be written.
        OSError: A list cannot be written.
    """
    timestamp = repo.published(TIMESTAMP)
    if timestamp is None:
        raise OtaError(f"{repo.folder}: nothing is staged yet; `reed-ota sign`, then `reed-ota stage`")
    sealing.require_sealed(repo)
    _require_older(dest, timestamp.signed.version)
    _require_same(repo, dest)
    chunks.complete(repo.targets)  # of what was added before there were lists
    try:
        new = sum(_copied(path, repo.folder, dest) for path in _in_order(repo))
        files.copy(repo.metadata / "timestamp.json", dest / "metadata" / "timestamp.json")
    except OSError as error:
        raise OtaError(f"{dest}: {error.strerror or error}") from None
    return new


def _in_order(repo: Repository) -> list[Path]:
    targets = sorted(path for path in repo.targets.rglob("*") if path.is_file() and path.name[0] != ".")
    # a root of any number before all that it speaks for
    return targets + sorted(_numbered(repo), key=lambda path: ("root" not in path.name, path.name))


def _numbered(repo: Repository) -> list[Path]:
    return [path for path in repo.metadata.glob("*.json") if path.name[0].isdigit()]


def _copied(path: Path, source: Path, dest: Path) -> bool:
    to = dest / path.relative_to(source)
    if to.exists() and to.stat().st_size == path.stat().st_size:
        return False
    files.copy(path, to)
    return True


def _require_older(dest: Path, version: int) -> None:
    path = dest / "metadata" / "timestamp.json"
    if path.exists() and (there := repository.read(path).signed.version) > version:
        raise OtaError(
            f"{dest}: is at {there}, this repository at {version}; publish from where the newest one is, or "
            "restore it: gateways refuse what is older than what they have seen"
        )


def _require_same(repo: Repository, dest: Path) -> None:
    """Raise OtaError if a number means something else there: two copies of a repository have parted."""
    for path in _numbered(repo):
        there = dest / "metadata" / path.name
        if there.exists() and files.read(there) != files.read(path):
            raise OtaError(
                f"{there}: differs from {path}; it is damaged, or was published from another copy of this "
                "repository: take over that one's metadata/ and targets/, and release again"
            )
