"""Snapshot and timestamp: what belongs together, and that it is the newest."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tuf.api.metadata import Metadata, MetaFile, Snapshot, Timestamp

from ota import files, keys, repository
from ota.errors import OtaError
from ota.passphrase import Passphrase
from ota.repository import Repository
from ota.roles import KINDS, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, delegator
from ota.signing import require_signed


def stage(repo: Repository, passphrase: Passphrase, roles: Sequence[str] = ()) -> list[str]:
    """Make drafts part of the repository, and seal it; return their roles.

    Args:
        repo: Whose drafts.
        passphrase: Opens the keys of snapshot and timestamp.
        roles: Whose drafts; none is all.

    Raises:
        OtaError: A draft lacks signatures; then nothing has changed.
    """
    chosen = [role for role in repo.drafted() if not roles or role in roles]
    drafted = {role: require_signed(repo, role, chosen) for role in chosen}
    _require_speakers(repo, drafted)
    for role, metadata in drafted.items():
        repo.complete(role, metadata)
    seal(repo, passphrase)
    return list(drafted)


def seal(
    repo: Repository, passphrase: Passphrase, *, days: float | None = None, renew: bool = False
) -> tuple[Metadata[Any], Metadata[Any]]:
    """Sign snapshot and timestamp anew as far as needed; return them.

    Args:
        repo: What is sealed.
        passphrase: Opens the two keys.
        days: Both hold so long, instead of as usual: for a file that is carried to a gateway.
        renew: A new snapshot, even though the old one says the same.

    Raises:
        OtaError: A key is missing, or not that which the root names.
    """
    _require_speakers(repo, {})
    snapshot = _snapshot(repo, passphrase, days, renew=renew or days is not None)
    former = repo.published(TIMESTAMP)
    timestamp = Timestamp(
        version=former.signed.version + 1 if former is not None else 1,
        expires=_until(repo, TIMESTAMP, days),
        snapshot_meta=_file(repo, SNAPSHOT),
    )
    signed = _signed(repo, TIMESTAMP, timestamp, passphrase)
    files.write(repo.metadata / "timestamp.json", repository.text(signed))
    return snapshot, signed


def require_sealed(repo: Repository) -> None:
    """Raise OtaError unless snapshot and timestamp stand for all that is complete."""
    snapshot, timestamp = repo.published(SNAPSHOT), repo.published(TIMESTAMP)
    is_sealed = (
        snapshot is not None
        and timestamp is not None
        and snapshot.signed.meta == {f"{role}.json": _file(repo, role) for role in (TARGETS, *KINDS)}
        and timestamp.signed.snapshot_meta == _file(repo, SNAPSHOT)
        and _counts(repo, snapshot)
        and _counts(repo, timestamp)
    )
    if not is_sealed:
        raise OtaError(f"{repo.folder}: was staged in part only; `reed-ota stage` again")


def refresh(repo: Repository, passphrase: Passphrase) -> None:
    """Say again that this is the newest. Raises OtaError."""
    snapshot = repo.published(SNAPSHOT)
    if snapshot is None:
        raise OtaError(f"{repo.folder}: nothing is staged yet; `reed-ota sign` and `reed-ota stage` first")
    left = snapshot.signed.expires - datetime.now(UTC)
    seal(repo, passphrase, renew=left < (repo.expiry(SNAPSHOT) - datetime.now(UTC)) / 2)


def _snapshot(repo: Repository, passphrase: Passphrase, days: float | None, *, renew: bool) -> Metadata[Any]:
    former = repo.published(SNAPSHOT)
    parts = {f"{role}.json": _file(repo, role) for role in (TARGETS, *KINDS)}
    if former is not None and former.signed.meta == parts and not renew and _counts(repo, former):
        return former
    version = former.signed.version + 1 if former is not None else 1
    snapshot = Snapshot(version=version, expires=_until(repo, SNAPSHOT, days), meta=parts)
    signed = _signed(repo, SNAPSHOT, snapshot, passphrase)
    repo.complete(SNAPSHOT, signed)
    return signed


def _until(repo: Repository, role: str, days: float | None) -> datetime:
    if days is None:
        return repo.expiry(role)
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def _file(repo: Repository, role: str) -> MetaFile:
    """Return how another role names the metadata of this one: number, length and digest."""
    path = repo.published_file(role)
    return MetaFile.from_data(repository.read(path).signed.version, files.read(path), ["sha256"])


def _counts(repo: Repository, snapshot: Metadata[Any]) -> bool:
    """Return whether enough of those whom the present root names have signed it."""
    root = repository.read(repo.published_file(ROOT)).signed
    role = snapshot.signed.type
    return bool(root.get_verification_result(role, snapshot.signed_bytes, snapshot.signatures))


def _signed(
    repo: Repository, role: str, content: Snapshot | Timestamp, passphrase: Passphrase
) -> Metadata[Any]:
    metadata: Metadata[Any] = Metadata(content)
    root = repo.published(ROOT)
    if root is None:
        raise OtaError(f"{repo.folder}: the root is not signed yet; nothing can be sealed")
    wanted = root.signed.get_delegated_role(role).keyids
    signers = keys.signers((repo.keys,), wanted, passphrase)
    if not signers:
        raise OtaError(f"{repo.keys}: has no key that the root names for {role}")
    for signer in signers:
        metadata.sign(signer, append=True)
    if not _counts(repo, metadata):
        threshold = root.signed.get_delegated_role(role).threshold
        raise OtaError(f"{repo.keys}: has {len(signers)} of the {threshold} keys that {role} needs")
    return metadata


def _require_speakers(repo: Repository, drafted: dict[str, Metadata[Any]]) -> None:
    """Raise OtaError if what is complete would not count under what is drafted, or is complete."""
    for role in (TARGETS, *KINDS):
        speaker = delegator(role)
        speaks = drafted.get(speaker) or repo.published(speaker)
        kept = repo.published(role) if role not in drafted else None
        if speaks is not None and kept is not None:
            found = speaks.signed.get_verification_result(role, kept.signed_bytes, kept.signatures)
            if not found:
                raise OtaError(f"the new {speaker} names other keys for {role}; `reed-ota renew {role}`, too")
