"""Signatures: on drafts, by the keys at hand or on a machine without a network, until there are enough."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, Root, Targets

from ota import files, keys, repository
from ota.errors import OtaError
from ota.passphrase import Passphrase
from ota.repository import Repository
from ota.roles import DAYS, ROOT, TARGETS, delegator


def sign(
    repo: Repository, folders: Iterable[Path], passphrase: Passphrase, roles: Sequence[str] = ()
) -> dict[str, str]:
    """Sign drafts with the keys in the folders; return what each still lacks, "" if nothing.

    Args:
        repo: Whose drafts.
        folders: Where keys are, beside those of the repository.
        passphrase: Opens them.
        roles: Whose drafts; none is all.

    Raises:
        OtaError: A key cannot be opened, or there is no such draft.
    """
    drafted = list(repo.drafted())
    for role in roles:
        if role not in drafted:
            raise OtaError(f"{role} has no draft to sign; `reed-ota show` lists them")
    lacking = {}
    for role in roles or drafted:
        metadata = repo.latest(role)
        for signer in keys.signers((repo.keys, *folders), repo.key_ids(role), passphrase):
            metadata.sign(signer, append=True)
        repo.write_draft(role, metadata)
        lacking[role] = lacks(repo, role, metadata)
    return lacking


def lacks(repo: Repository, role: str, metadata: Metadata[Any], staged: Collection[str] | None = None) -> str:
    """Return what a draft still needs; "" if enough have signed.

    Args:
        repo: Whose draft it is.
        role: Of the draft.
        metadata: The draft.
        staged: The drafts that come into force with it; None is all.
    """
    speaks = delegator(role)
    stays = staged is not None and speaks not in staged
    now = repo.published(speaks) if stays else None
    speakers: list[Root | Targets] = [(now or repo.latest(speaks)).signed]
    if role == ROOT:
        former = repo.published(ROOT)
        speakers = [metadata.signed] + ([former.signed] if former is not None else [])
    for speaker in speakers:
        found = speaker.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        missing = found.threshold - len(found.signed)
        if missing > 0:
            whose = "a former root" if role == ROOT and speaker is not metadata.signed else role
            return f"{missing} more of {whose}'s {len(speaker.get_delegated_role(role).keyids)} keys"
    return ""


def sign_file(path: Path, key: Path, passphrase: Passphrase) -> str:
    """Sign a draft that was brought here, with one key; return the key's id.

    Nothing but the two files is needed: this runs on a machine without a network.

    Raises:
        OtaError: A file is missing or no such thing, or the passphrase is wrong.
    """
    metadata = repository.read(path)
    signature = metadata.sign(keys.open_key(key, passphrase), append=True)
    files.write(path, repository.text(metadata))
    return str(signature.keyid)


def join(repo: Repository, path: Path) -> str:
    """Take the signatures of a draft that was signed elsewhere; return its role.

    Raises:
        OtaError: It is not our draft, or a signature in it is none of ours.
    """
    brought = repository.read(path)
    for role in repo.drafted():
        ours = repo.latest(role)
        if ours.signed_bytes == brought.signed_bytes:
            _take_signatures(repo, role, ours, brought)
            return role
    raise OtaError(f"{path}: is none of our drafts; was it changed since it was copied?")


def _take_signatures(repo: Repository, role: str, ours: Metadata[Any], brought: Metadata[Any]) -> None:
    known = {**repo.latest(delegator(role)).signed.keys} if delegator(role) == ROOT else {}
    former = repo.published(ROOT)
    if role == ROOT and former is not None:
        known = {**former.signed.keys, **known}
    if delegator(role) == TARGETS:
        known = repo.latest(TARGETS).signed.delegations.keys
    for key_id, signature in brought.signatures.items():
        if key_id not in known:
            raise OtaError(f"key {key_id[:12]} signed it, whose signature does not count for {role}")
        try:
            known[key_id].verify_signature(signature, ours.signed_bytes)
        except (UnverifiedSignatureError, VerificationError):
            raise OtaError(f"the signature of key {key_id[:12]} is wrong") from None
        ours.signatures[key_id] = signature
    repo.write_draft(role, ours)


def renew(repo: Repository, roles: Sequence[str]) -> None:
    """Draft the same content again, with a new number and a new expiry. Raises OtaError."""
    for role in roles:
        if role not in DAYS or role in ("snapshot", "timestamp"):
            raise OtaError(f"{role!r} cannot be drafted; choose root, targets, os, app or config")
        repo.write_draft(role, repo.begin_draft(role))


def require_signed(repo: Repository, role: str, staged: Collection[str]) -> Metadata[Any]:
    """Return the draft of a role. Raises OtaError unless enough have signed it for what is staged."""
    metadata = repo.latest(role)
    try:
        missing = lacks(repo, role, metadata, staged)
    except (UnsignedMetadataError, ValueError):
        missing = "a role that knows its keys"
    if missing:
        raise OtaError(f"{role} is not signed: it needs {missing}; sign draft/{role}.json")
    return metadata
