"""The folder in which a repository is prepared.

    ota.json         settings
    metadata/        what is signed and complete: N.ROLE.json, timestamp.json
    targets/         files, KIND/SHA256.NAME
    draft/           ROLE.json: changed, and not yet signed by enough keys
    keys/            key pairs of this machine

The numbers only grow, and nothing in metadata/ but timestamp.json is ever changed.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.serialization.json import JSONSerializer

from ota import files, keys
from ota.errors import OtaError
from ota.roles import DAYS, KINDS, ROOT, TARGETS, TIMESTAMP, delegator

_FORMAT = 1
_SERIALIZER = JSONSerializer(compact=False)


class Repository:
    """One repository; its methods raise OtaError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.metadata = folder / "metadata"
        self.targets = folder / "targets"
        self.drafts = folder / "draft"
        self.keys = folder / "keys"
        self._settings = _settings(folder / "ota.json")

    @property
    def test(self) -> bool:
        """Its keys are open, and it must protect nothing."""
        return self._settings.get("test") is True

    def expiry(self, role: str) -> datetime:
        """Return until when a signature made now holds."""
        days = float(self._settings.get("days", {}).get(role, DAYS[role]))
        return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)

    def published(self, role: str) -> Metadata[Any] | None:
        """Return the newest complete metadata of a role."""
        if role == TIMESTAMP:
            path = self.metadata / "timestamp.json"
            return read(path) if path.exists() else None
        versions = self.versions(role)
        return read(self.metadata / f"{versions[-1]}.{role}.json") if versions else None

    def published_file(self, role: str) -> Path:
        """Return where the newest complete metadata of a numbered role are."""
        versions = self.versions(role)
        if not versions:
            raise OtaError(f"{self.folder}: {role} is not staged yet; `reed-ota sign`, then `reed-ota stage`")
        return self.metadata / f"{versions[-1]}.{role}.json"

    def versions(self, role: str) -> list[int]:
        """Return the numbers there are of a role, in order."""
        names = (path.name.split(".") for path in self.metadata.glob(f"*.{role}.json"))
        return sorted(int(number) for number, *_ in names if number.isdigit())

    def draft(self, role: str) -> Metadata[Any] | None:
        """Return what waits for signatures."""
        path = self.drafts / f"{role}.json"
        return read(path) if path.exists() else None

    def drafted(self) -> Iterator[str]:
        """Return the roles that wait for signatures, those who speak for others first."""
        order = (ROOT, TARGETS, *KINDS)
        return (role for role in order if (self.drafts / f"{role}.json").exists())

    def latest(self, role: str) -> Metadata[Any]:
        """Return the draft of a role, else what is complete."""
        found = self.draft(role) or self.published(role)
        if found is None:
            raise OtaError(f"{self.folder}: there is no metadata of {role}; was `reed-ota init` cut off?")
        return found

    def begin_draft(self, role: str) -> Metadata[Any]:
        """Return metadata to change: the next version, without signatures."""
        found = self.latest(role)
        if (former := self.published(role)) is not None:
            found.signed.version = former.signed.version + 1
        found.signatures.clear()
        found.signed.expires = self.expiry(role)
        return found

    def write_draft(self, role: str, metadata: Metadata[Any]) -> None:
        """Keep what was changed."""
        files.write(self.drafts / f"{role}.json", text(metadata))

    def complete(self, role: str, metadata: Metadata[Any]) -> None:
        """Add to what is complete; a number is used once."""
        path = self.metadata / f"{metadata.signed.version}.{role}.json"
        if not path.exists():
            files.write(path, text(metadata))
        elif read(path).signed_bytes != metadata.signed_bytes:  # else it was cut off right here
            raise OtaError(f"{path}: is there already; a number is never used twice")
        (self.drafts / f"{role}.json").unlink(missing_ok=True)

    def key_ids(self, role: str) -> list[str]:
        """Return whose signatures count for a role, by what is drafted or by what is in force."""
        speaker: Root | Targets = self.latest(delegator(role)).signed
        found = list(speaker.get_delegated_role(role).keyids)
        former = self.published(delegator(role))
        if former is not None:
            found += [key for key in former.signed.get_delegated_role(role).keyids if key not in found]
        return found


def read(path: Path) -> Metadata[Any]:
    """Return the metadata in a file. Raises OtaError if they are none, or call a key by another's id."""
    try:
        found: Metadata[Any] = Metadata.from_bytes(files.read(path))
    except RepositoryError:
        raise OtaError(f"{path}: is no metadata") from None
    described = getattr(found.signed, "delegations", None) or found.signed
    for key in getattr(described, "keys", {}).values():
        keys.require_own_id(key, path)
    return found


def text(metadata: Metadata[Any]) -> bytes:
    """Return metadata as they are published."""
    return metadata.to_bytes(_SERIALIZER)


def found(folder: Path, *, test: bool) -> None:
    """Make the folder of a new repository. Raises OtaError if there is something."""
    if folder.exists() and any(folder.iterdir()):
        raise OtaError(f"{folder}: is not empty; choose a new folder")
    for name in ("metadata", "targets", "draft"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "keys").mkdir(mode=0o700, exist_ok=True)
    settings = {"format": _FORMAT, "test": test, "days": DAYS}
    files.write(folder / "ota.json", json.dumps(settings, indent=1).encode() + b"\n")


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_bytes())
    except OSError:
        raise OtaError(f"{path.parent}: is no repository; make one with `reed-ota init`") from None
    except ValueError:
        raise OtaError(f"{path}: is broken; put it back from the backup") from None
    if not isinstance(settings, dict) or settings.get("format") != _FORMAT:
        raise OtaError(f"{path}: is of another version of reed-ota")
    return settings
