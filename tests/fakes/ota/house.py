"""A vendor: the repository, what is published of it, and the keys."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata

from ota import adding, founding, publishing, repository, sealing, signing
from ota.adding import Release
from ota.passphrase import Passphrase
from ota.repository import Repository

NOBODY = Passphrase(Path("/nonexistent"))
"""Test keys are open."""


class Vendor:
    """Makes a test repository below `folder` and publishes it to `folder/www`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.www = folder / "www"
        self.repo: Repository = founding.found(folder / "repo", NOBODY, founding.Plan(test=True))
        self.seal()

    @property
    def root(self) -> Path:
        """The first root, as an image ships it."""
        return self.repo.metadata / "1.root.json"

    def release(
        self, name: str = "os/reed-1.4.0.raucb", data: bytes = b"a bundle" * 999, **said: str | bool
    ) -> None:
        """Add, sign and publish a file; its version is 1.4.0 unless said otherwise."""
        kind, *_, file_name = name.split("/")
        given: dict[str, Any] = {"version": "1.4.0", "gateway": "lobby" if kind == "config" else "", **said}
        file = self.folder / file_name
        file.write_bytes(data)
        adding.add(self.repo, Release(kind, file, **given))
        self.seal()

    def change(self, role: str) -> Metadata[Any]:
        """Return a draft of a role to be changed at will; `sign` comes next."""
        return repository.read(self.repo.metadata / f"{self.repo.versions(role)[-1]}.{role}.json")

    def seal(self) -> None:
        """Sign, stage and publish all drafts."""
        signing.sign(self.repo, (), NOBODY)
        sealing.stage(self.repo, NOBODY)
        publishing.publish(self.repo, self.www)

    def refresh(self) -> None:
        """Sign the timestamp again."""
        sealing.refresh(self.repo, NOBODY)
        publishing.publish(self.repo, self.www)

    def file(self, name: str) -> Path:
        """Return the newest file of metadata that is published, e.g. "snapshot"."""
        if name == "timestamp":
            return self.www / "metadata" / "timestamp.json"
        return self.www / "metadata" / f"{self.repo.versions(name)[-1]}.{name}.json"


def in_days(days: float) -> datetime:
    """Return a time so many days from now."""
    return datetime.now(UTC) + timedelta(days=days)
