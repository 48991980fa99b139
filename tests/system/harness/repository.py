"""A repository of signed targets, made with python-tuf, and a spool as the updater leaves it."""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

KINDS = ("os", "app", "config")
_TOP = ("root", "timestamp", "snapshot", "targets")


class Repository:
    """Signs what it is given; every change makes new metadata.

    Args:
        lasts: How long its metadata are fresh.
    """

    def __init__(self, lasts: timedelta = timedelta(days=30)) -> None:
        self._expires = (datetime.now(UTC) + lasts).replace(microsecond=0)
        self._signers = {name: CryptoSigner(Ed25519PrivateKey.generate()) for name in (*_TOP, *KINDS)}
        self._version = 0
        self._listed: dict[str, dict[str, TargetFile]] = {kind: {} for kind in KINDS}
        self.files: dict[str, bytes] = {}
        root = Root(version=1, expires=self._expires, consistent_snapshot=True)
        for name in _TOP:
            root.add_key(self._signers[name].public_key, name)
        self._root = self._signed("root", root)

    @property
    def root(self) -> str:
        """The root metadata to begin with."""
        return self._root.decode()

    def add(self, path: str, data: bytes, **custom: object) -> str:
        """Sign a target; return its path. The kind is that of its folder."""
        kind = path.split("/", 1)[0]
        described = TargetFile.from_data(path, data, ["sha256"])
        described.unrecognized_fields["custom"] = {"kind": kind, **custom}
        self._listed[kind][path] = described
        self.files[_spooled(path, data)] = data
        return path

    def metadata(self) -> dict[str, bytes]:
        """Return the newest metadata by name, as the server has them."""
        self._version += 1
        version = self._version
        made = {"1.root.json": self._root}
        listed: dict[str, MetaFile] = {}
        delegated: dict[str, DelegatedRole] = {}
        keys = {}
        for kind in KINDS:
            key = self._signers[kind].public_key
            keys[key.keyid] = key
            delegated[kind] = DelegatedRole(kind, [key.keyid], 1, True, paths=[f"{kind}/*"])
            role = Targets(version=version, expires=self._expires, targets=self._listed[kind])
            made[f"{version}.{kind}.json"] = self._signed(kind, role)
            listed[f"{kind}.json"] = MetaFile(version)
        top = Targets(
            version=version, expires=self._expires, delegations=Delegations(keys=keys, roles=delegated)
        )
        made[f"{version}.targets.json"] = self._signed("targets", top)
        listed["targets.json"] = MetaFile(version)
        snapshot = Snapshot(version=version, expires=self._expires, meta=listed)
        made[f"{version}.snapshot.json"] = self._signed("snapshot", snapshot)
        newest = Timestamp(version=version, expires=self._expires, snapshot_meta=MetaFile(version))
        return made | {"timestamp.json": self._signed("timestamp", newest)}

    def _signed(self, name: str, content: Any) -> bytes:  # noqa: ANN401  # one of python-tuf's roles
        document = Metadata(content)
        document.sign(self._signers[name])
        return document.to_bytes()


def fill(spool: Path, metadata: Mapping[str, bytes], files: Mapping[str, bytes]) -> None:
    """Leave metadata and targets where the applier looks, as the updater does."""
    for name, wanted in (("metadata", metadata), ("targets", files)):
        shutil.rmtree(spool / name, ignore_errors=True)
        (spool / name).mkdir(parents=True)
        for file, data in wanted.items():
            (spool / name / file).write_bytes(data)


def brought(repository: Repository, path: str, version: str, **said: object) -> bytes:
    """Return a `.reed-update` file with one target, as `reed-ota export` makes it."""
    update = {"kind": path.split("/", 1)[0], "target": path, "version": version, **said}
    members = {"update.json": json.dumps(update).encode()}
    members |= {f"metadata/{name}": data for name, data in repository.metadata().items()}
    end = f".{PurePosixPath(path).name}"
    members |= {f"targets/{name}": data for name, data in repository.files.items() if name.endswith(end)}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def _spooled(path: str, data: bytes) -> str:
    return f"{hashlib.sha256(data).hexdigest()}.{PurePosixPath(path).name}"
