"""One command for a release: build, add, sign, stage, check, and perhaps publish."""

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ota import adding, checking, files, publishing, sealing, signing
from ota.adding import Release
from ota.errors import OtaError
from ota.lock import alone
from ota.passphrase import ENVIRONMENTS, Passphrase
from ota.repository import Repository


def build(command: str, version: str, to: Path) -> None:
    """Run a command that makes the file; {version} and {file} in it are filled in.

    Raises:
        OtaError: It cannot be read or run, it fails, or makes no file.
    """
    try:
        words = [
            word.replace("{version}", version).replace("{file}", str(to)) for word in shlex.split(command)
        ]
        # what builds has no business with our keys
        environment = {key: value for key, value in os.environ.items() if key not in ENVIRONMENTS}
        done = subprocess.run(words, check=False, env=environment)  # noqa: S603  # the operator's own
    except ValueError as error:
        raise OtaError(f"--build {command!r} cannot be read: {error}") from None
    except (OSError, IndexError) as error:
        raise OtaError(f"--build {command!r} cannot be run: {getattr(error, 'strerror', error)}") from None
    if done.returncode:
        raise OtaError(f"{words[0]} failed with {done.returncode}; nothing was released")
    if not to.is_file():
        raise OtaError(f"{words[0]} did not make {to}; does the command name {{file}}?")


def said_of(image: Path, name: str) -> str:
    """Return what an image, made by ota/image/build, says of itself: "version" or "compatible"."""
    return files.read(image / name).decode(errors="replace").strip()


@dataclass(frozen=True, slots=True)
class Way:
    """How a release is made.

    Args:
        passphrase: Opens the keys.
        folders: Where keys are, beside those of the repository.
        command: Builds the file; "": it is there.
        dest: Where it is published; None: not yet.
    """

    passphrase: Passphrase
    folders: Sequence[Path] = ()
    command: str = ""
    dest: Path | None = None


def release(repo: Repository, wanted: Release, way: Way, tell: Callable[[str], None]) -> None:
    """Do all of it, with a line to `tell` for each step; a failure leaves what gateways see as it was.

    Drafts of other roles, which may be waiting for somebody's signature, stay as they are.

    Raises:
        OtaError: A step failed.
    """
    if way.command:
        wanted.file.parent.mkdir(parents=True, exist_ok=True)
        build(way.command, wanted.version, wanted.file)
        tell(f"built {wanted.file}")
    with alone(repo.folder):
        _release(repo, wanted, way, tell)


def _release(repo: Repository, wanted: Release, way: Way, tell: Callable[[str], None]) -> None:
    path = adding.add(repo, wanted)
    tell(f"added {path}")
    for role, lacking in signing.sign(repo, way.folders, way.passphrase, [wanted.kind]).items():
        if lacking:
            raise OtaError(f"{role} still needs {lacking}; give --keys, or let others sign draft/{role}.json")
    staged = sealing.stage(repo, way.passphrase, [wanted.kind])
    tell(f"signed and staged {', '.join(staged)}")
    found = checking.check(repo.folder)
    tell(f"checked {len(found.targets)} targets")
    for warning in found.warnings:
        tell(f"warning: {warning}")
    if way.dest is not None:
        new = publishing.publish(repo, way.dest)
        checking.check(way.dest)
        tell(f"published {new} new files to {way.dest}")
