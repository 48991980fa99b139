"""The commands of `reed-ota`; an error is one line."""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from ota import (
    adding,
    arguments,
    checking,
    exporting,
    founding,
    keys,
    lock,
    publishing,
    releasing,
    rotating,
    sealing,
    showing,
    signing,
)
from ota.errors import OtaError
from ota.passphrase import Passphrase
from ota.repository import Repository

_TROUBLE = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    given = arguments.parser().parse_args(argv)
    try:
        with lock.alone(given.repo) if given.command in _ALONE else nullcontext():
            _COMMANDS[given.command](given)
    except OtaError as error:
        print(f"reed-ota: {error}", file=sys.stderr)
        return _TROUBLE
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"reed-ota: {where}{error.strerror or error}", file=sys.stderr)
        return _TROUBLE
    return 0


def _passphrase(given: argparse.Namespace) -> Passphrase:
    return Passphrase(given.passphrase_file, given.refresh_passphrase_file)


def _init(given: argparse.Namespace) -> None:
    passphrase = _passphrase(given)
    plan = founding.Plan(given.offline, given.root_public, given.threshold, given.test)
    repo = founding.found(given.repo, passphrase, plan)
    _sign_and_say(repo, [plan.offline or given.repo / "offline"], passphrase)
    if not any(signing.lacks(repo, role, repo.latest(role)) for role in repo.drafted()):
        sealing.stage(repo, passphrase)
        print(f"{given.repo}: ready; gateways begin with {given.repo}/metadata/1.root.json")
    if not given.test:
        print(f"Now take the keys of root and targets away: {plan.offline or given.repo / 'offline'}")


def _key(given: argparse.Namespace) -> None:
    key = keys.make(given.file, _passphrase(given), refresh=given.for_refresh)
    print(f"{given.file}: made; its public half is {keys.public_file(given.file)}, its id {key.keyid[:12]}")


def _add(given: argparse.Namespace) -> None:
    print(f"{adding.add(Repository(given.repo), _release_of(given))}: added, not yet signed")


def _remove(given: argparse.Namespace) -> None:
    adding.remove(Repository(given.repo), given.target)
    print(f"{given.target}: removed, not yet signed")


def _sign(given: argparse.Namespace) -> None:
    _sign_and_say(Repository(given.repo), given.keys, _passphrase(given), given.roles)


def _sign_and_say(
    repo: Repository, folders: Sequence[Path], passphrase: Passphrase, roles: Sequence[str] = ()
) -> None:
    for role, lacking in signing.sign(repo, folders, passphrase, roles).items():
        print(f"{role}: needs {lacking}; sign draft/{role}.json" if lacking else f"{role}: signed")


def _sign_file(given: argparse.Namespace) -> None:
    for line in showing.metadata(given.file):
        print(showing.plain(line))
    key_id = signing.sign_file(given.file, given.key, _passphrase(given))
    print(f"{given.file}: signed with {key_id[:12]}")


def _join(given: argparse.Namespace) -> None:
    repo = Repository(given.repo)
    role = signing.join(repo, given.file)
    lacking = signing.lacks(repo, role, repo.latest(role))
    print(f"{role}: signatures taken; " + (f"needs {lacking}" if lacking else "enough"))


def _renew(given: argparse.Namespace) -> None:
    signing.renew(Repository(given.repo), given.roles)
    print(f"{', '.join(given.roles)}: drafted, not yet signed")


def _rotate(given: argparse.Namespace) -> None:
    repo = Repository(given.repo)
    drafted = rotating.rotate(repo, given.role, add=given.add, remove=given.remove, threshold=given.threshold)
    print(f"{given.role}: other keys are drafted; sign {' and '.join(drafted)}")


def _stage(given: argparse.Namespace) -> None:
    staged = sealing.stage(Repository(given.repo), _passphrase(given), given.roles)
    print(f"staged {', '.join(staged) or 'nothing new'}; sealed")


def _refresh(given: argparse.Namespace) -> None:
    repo = Repository(given.repo)
    sealing.refresh(repo, _passphrase(given))
    print("sealed anew")
    if given.publish is not None:
        publishing.publish(repo, given.publish)
        print(f"published to {given.publish}")


def _publish(given: argparse.Namespace) -> None:
    new = publishing.publish(Repository(given.repo), given.dest)
    print(f"{given.dest}: {new} new files")


def _check(given: argparse.Namespace) -> None:
    found = checking.check(given.folder, root=given.root, warn_days=given.warn_days)
    for line in showing.found(found):
        print(showing.plain(line))
    for warning in found.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _export(given: argparse.Namespace) -> None:
    exporting.export(Repository(given.repo), given.target, given.to, _passphrase(given), given.days)
    print(f"{given.to}: can be installed for {given.days:g} days")


def _show(given: argparse.Namespace) -> None:
    lines = (
        showing.metadata(given.repo) if given.repo.is_file() else showing.repository(Repository(given.repo))
    )
    for line in lines:
        print(showing.plain(line))


def _release(given: argparse.Namespace) -> None:
    repo = Repository(given.repo)
    if given.image is not None:
        given.version = given.version or releasing.said_of(given.image, "version")
        given.compatible = given.compatible or releasing.said_of(given.image, "compatible")
    way = releasing.Way(_passphrase(given), given.keys, given.build, given.publish)
    releasing.release(repo, _release_of(given), way, print)


def _release_of(given: argparse.Namespace) -> adding.Release:
    return adding.Release(
        given.kind,
        given.file,
        given.version,
        given.compatible,
        given.gateway,
        given.min_version,
        given.downgrade,
    )


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "init": _init,
    "key": _key,
    "add": _add,
    "remove": _remove,
    "sign": _sign,
    "sign-file": _sign_file,
    "join": _join,
    "renew": _renew,
    "rotate": _rotate,
    "stage": _stage,
    "refresh": _refresh,
    "publish": _publish,
    "check": _check,
    "export": _export,
    "show": _show,
    "release": _release,
}
_ALONE = frozenset(
    {"add", "remove", "sign", "join", "renew", "rotate", "stage", "refresh", "publish", "export"}
)
"""They change a repository, from beginning to end; a release does so once its file is built."""
