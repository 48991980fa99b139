"""Other keys for a role: one is added, one is taken away, or both."""

from pathlib import Path

from securesystemslib.signer import Key

from ota import keys
from ota.errors import OtaError
from ota.repository import Repository
from ota.roles import DAYS, ROOT, delegator


def rotate(repo: Repository, role: str, *, add: Path | None, remove: str, threshold: int = 0) -> list[str]:
    """Draft who counts for a role from now on; return the roles whose drafts need signatures.

    Args:
        repo: Whose keys change.
        role: Any of root, targets, snapshot, timestamp, os, app, config.
        add: Public key of the new one; None adds none.
        remove: Beginning of the id of the one to take away; "" takes none.
        threshold: So many have to sign; 0 leaves it.

    Raises:
        OtaError: There is no such key, or too few would be left.
    """
    if role not in DAYS:
        raise OtaError(f"{role!r} is no role; choose from {', '.join(DAYS)}")
    if threshold < 0:
        raise OtaError(f"{threshold} signatures cannot be; give 1 or more")
    speaker = delegator(role)
    metadata = repo.begin_draft(speaker)
    described = metadata.signed.get_delegated_role(role)
    if remove:
        metadata.signed.revoke_key(_one_of(described.keyids, remove), role)
    if add is not None:
        metadata.signed.add_key(_of_nobody_else(repo, role, add), role)
    described.threshold = threshold or described.threshold
    if len(described.keyids) < described.threshold:
        raise OtaError(f"{role} would have {len(described.keyids)} keys, and needs {described.threshold}")
    repo.write_draft(speaker, metadata)
    if role in (speaker, "snapshot", "timestamp"):
        return [speaker]
    repo.write_draft(role, repo.begin_draft(role))
    return [speaker, role]


def describe(repo: Repository, role: str) -> tuple[int, list[str]]:
    """Return how many have to sign for a role, and the ids of the keys that count."""
    found = repo.latest(delegator(role) if role != ROOT else ROOT).signed.get_delegated_role(role)
    return found.threshold, list(found.keyids)


def _of_nobody_else(repo: Repository, role: str, path: Path) -> Key:
    """Return the key in a file: one that is stolen must not speak for two roles. Raises OtaError."""
    key = keys.read_public(path)
    for other in DAYS:
        if other != role and key.keyid in describe(repo, other)[1]:
            raise OtaError(f"{path}: is a key of {other} already; each role has keys of its own")
    return key


def _one_of(key_ids: list[str], beginning: str) -> str:
    matching = [key for key in key_ids if key.startswith(beginning)]
    if len(matching) != 1:
        raise OtaError(f"{beginning!r} is the beginning of {len(matching)} keys; `reed-ota show` lists them")
    return matching[0]
