"""What a person sees of a repository, and of metadata before signing them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, TargetFile

from ota import repository as repositories
from ota import rotating, signing
from ota.checking import Found
from ota.repository import Repository
from ota.roles import DAYS, KINDS, ROOT, TARGETS, TIMESTAMP

_SHORT = 12


def repository(repo: Repository) -> Iterator[str]:
    """Return roles with numbers, expiries and keys; drafts with what they lack; targets."""
    if repo.test:
        yield "a test repository: its keys are open"
    for role in DAYS:
        found = repo.published(role)
        threshold, key_ids = rotating.describe(repo, role)
        state = (
            f"{found.signed.version}, until {found.signed.expires:%Y-%m-%d %H:%M} UTC" if found else "none"
        )
        names = " ".join(key[:_SHORT] for key in key_ids)
        yield f"{role:<10} {state}; {threshold} of {len(key_ids)}: {names}"
    for role in repo.drafted():
        yield f"draft of {role}: " + (signing.lacks(repo, role, repo.latest(role)) or "signed; stage it")
    for kind in KINDS:
        for path, info in repo.latest(kind).signed.targets.items():
            yield _target(path, info)


def found(found: Found) -> Iterator[str]:
    """Return what a check has found."""
    for role, expires in found.expiries.items():
        yield f"{role:<10} until {expires:%Y-%m-%d %H:%M} UTC"
    for path, info in found.targets.items():
        yield _target(path, info)


def metadata(path: Path) -> Iterator[str]:
    """Return what a file of metadata says, as somebody should read it before signing. Raises OtaError."""
    content: Metadata[Any] = repositories.read(path)
    signed = content.signed
    yield f"{path}: {signed.type} {signed.version}, until {signed.expires:%Y-%m-%d %H:%M} UTC"
    yield f"  signed by {' '.join(key[:_SHORT] for key in content.signatures) or 'nobody yet'}"
    roles = signed.roles if signed.type == ROOT else {}
    if signed.type == TARGETS and signed.delegations is not None:
        roles = signed.delegations.roles
    for name, role in roles.items():
        yield f"  {name}: {role.threshold} of {' '.join(key[:_SHORT] for key in role.keyids)}"
    for target, info in getattr(signed, "targets", {}).items():
        yield "  " + _target(target, info)
    if signed.type == TIMESTAMP:
        yield f"  snapshot {signed.snapshot_meta.version}"


def plain(line: str) -> str:
    """Return a line that does nothing to a terminal, whoever has written what is shown."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)


def _target(path: str, info: TargetFile) -> str:
    custom = info.custom or {}
    said = " ".join(f"{key}={value}" for key, value in custom.items() if key not in ("kind", "version"))
    line = f"{path} {custom.get('version', '?')} {info.length} bytes {info.hashes.get('sha256', '')[:_SHORT]}"
    return f"{line} {said}".rstrip()
