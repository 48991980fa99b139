"""The first metadata of a repository: its keys, its root, and roles that vouch for nothing yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from securesystemslib.signer import Key
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, Targets

from ota import keys, repository
from ota.errors import OtaError
from ota.passphrase import Passphrase
from ota.repository import Repository
from ota.roles import KINDS, ONLINE, PATHS, ROOT, ROOT_KEYS, ROOT_THRESHOLD, TARGETS


@dataclass(frozen=True, slots=True)
class Plan:
    """How a repository begins.

    Args:
        offline: Folder for the keys of root and targets, e.g. on a stick; None: `offline` in the repository.
        root_public: Public keys that people have made on their own machines; none: three are made.
        threshold: So many of them have to sign a root.
        test: Keys stay open; for continuous integration only.
    """

    offline: Path | None = None
    root_public: Sequence[Path] = ()
    threshold: int = ROOT_THRESHOLD
    test: bool = False


def found(folder: Path, passphrase: Passphrase, plan: Plan) -> Repository:
    """Make a repository in a new folder; drafts of all roles wait for their signatures.

    Raises:
        OtaError: The folder is in use, or the threshold cannot be met.
    """
    count = len(plan.root_public) or ROOT_KEYS
    if not 1 <= plan.threshold <= count:
        raise OtaError(f"{plan.threshold} of {count} root keys cannot be; choose another threshold")
    publics = [keys.read_public(path) for path in plan.root_public]
    if len({key.keyid for key in publics}) < len(publics):
        raise OtaError("--root-public names a key twice; each of the people has one of his own")
    secret = None if plan.test else passphrase
    if secret is not None:
        secret.new("the new keys")
        secret.new("the new keys", refresh=True)
    repository.found(folder, test=plan.test)
    repo = Repository(folder)
    apart = plan.offline or (repo.keys if plan.test else folder / "offline")
    apart.mkdir(mode=0o700, parents=True, exist_ok=True)
    publics = publics or [keys.make(apart / f"root-{n}.pem", secret) for n in range(1, ROOT_KEYS + 1)]
    targets_key = keys.make(apart / "targets.pem", secret)
    online = {
        role: keys.make(repo.keys / f"{role}.pem", secret, refresh=role in ONLINE)
        for role in (*ONLINE, *KINDS)
    }
    repo.write_draft(ROOT, Metadata(_root(repo, publics, plan.threshold, targets_key, online)))
    repo.write_draft(TARGETS, Metadata(_targets(repo, online)))
    for kind in KINDS:
        repo.write_draft(kind, Metadata(Targets(expires=repo.expiry(kind))))
    return repo


def _root(
    repo: Repository, publics: Sequence[Key], threshold: int, targets_key: Key, online: dict[str, Key]
) -> Root:
    root = Root(expires=repo.expiry(ROOT), consistent_snapshot=True)
    for key in publics:
        root.add_key(key, ROOT)
    root.roles[ROOT].threshold = threshold
    root.add_key(targets_key, TARGETS)
    for role in ONLINE:
        root.add_key(online[role], role)
    return root


def _targets(repo: Repository, online: dict[str, Key]) -> Targets:
    roles = {kind: DelegatedRole(kind, [], 1, terminating=True, paths=PATHS[kind]) for kind in KINDS}
    targets = Targets(expires=repo.expiry(TARGETS), delegations=Delegations({}, roles))
    for kind in KINDS:
        targets.add_key(online[kind], kind)
    return targets
