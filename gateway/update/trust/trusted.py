"""The metadata that were verified, and what they say of a target.

Two processes have one each: the runner, which asks the server, and the applier, which reads what the runner
has left in the spool and believes none of it. Facts: specification of TUF 1.0.33, section 5; python-tuf 5.1.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tuf.api import exceptions
from tuf.ngclient.updater import Updater

from gateway.domain.update.model import Code
from gateway.errors import StoreError, UpdateError
from gateway.update.trust import roots
from gateway.update.trust.fetchers import BASE, Fetcher
from gateway.update.trust.memory import Known, Memory
from gateway.update.trust.target import Target, check_file, check_meant, check_path

ROOT_FILES: Final = (Path("/etc/reed/tuf-root.json"), Path("/usr/share/reed/tuf/root.json"))
"""Whom to trust at first; the first that exists counts."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_BROKEN: Final = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What a reader of JSON stumbles over before it has looked at a signature."""


def root_file() -> Path:
    """Return the root to begin with, which only root may write."""
    return next((path for path in ROOT_FILES if path.exists()), ROOT_FILES[-1])


def judged_at(clock_unix_s: float | None, floor_unix_s: float) -> datetime:
    """Return the time by which expiry is judged.

    Args:
        clock_unix_s: The wall clock; None while it is provably wrong.
        floor_unix_s: A moment that is certainly past.
    """
    return datetime.fromtimestamp(max(clock_unix_s or 0.0, floor_unix_s), UTC)


class Trusted:
    """What one process trusts.

    Args:
        folder: Its own, for what it has verified; made if need be.
        root: The root metadata to begin with.
        fetcher: Where newer metadata come from.
        now: The time by which expiry is judged, see `judged_at`.
    """

    def __init__(self, folder: Path, root: Path, fetcher: Fetcher, now: Callable[[], datetime]) -> None:
        self._root = root
        self._fetcher = fetcher
        self._now = now
        self._memory = Memory(folder)

    def refresh(self) -> None:
        """Take in the newest metadata. What was verified before a failure is kept.

        Raises:
            UpdateError: UNTRUSTED, EXPIRED, OLDER (somebody shows us an old state), or UNREACHABLE.
            StoreError: The disk does not take it.
        """
        self._walk("")

    def target(self, path: str, kind: str = "", version: str = "") -> Target:
        """Take in the newest metadata and return what they say of a target; "" is any kind or version.

        Raises:
            UpdateError: As `refresh`; UNTRUSTED, too, if it is not named, or as something else.
            StoreError: The disk does not take it.
        """
        check_path(path)
        found = self._walk(path)
        if found is None:
            raise UpdateError(Code.UNTRUSTED, f"nobody whom we trust has signed {path}")
        check_meant(found, kind, version)
        return found

    def verify(self, file: Path, target: Target) -> None:
        """Return if the file is the target to the last bit. Raises UpdateError."""
        check_file(file, target)

    def known(self) -> Known:
        """Return what is trusted now, to be handed on (spool.py)."""
        return self._memory.read()

    def _walk(self, path: str) -> Target | None:
        with _working() as place:
            known = roots.begin(self._memory.read(), self._root)
            _lay_out(known, place)
            fetched = roots.Witness(self._fetcher)
            try:
                with _explained():
                    updater = self._updater(place, fetched)
                    updater.refresh()
                    return _asked(updater, path) if path else None
            finally:
                self._memory.write(_taken_in(known, place, fetched))

    def _updater(self, place: Path, fetcher: Fetcher) -> Updater:
        updater = Updater(str(place), BASE, fetcher=fetcher)
        # python-tuf offers no other way to give it the time; a version that hides it elsewhere must not pass
        trusted_set = updater._trusted_set  # noqa: SLF001
        if not isinstance(getattr(trusted_set, "reference_time", None), datetime):
            raise UpdateError(Code.UNSUPPORTED, "this version of python-tuf takes no time; install 5.1")
        trusted_set.reference_time = self._now()
        return updater


def _lay_out(known: Known, place: Path) -> None:
    for name, text in known.metadata.items():
        (place / name).write_text(text)


def _taken_in(known: Known, place: Path, fetched: "roots.Witness") -> Known:
    """Return what has been verified; python-tuf writes nothing else."""
    metadata = {path.name: path.read_text() for path in sorted(place.glob("*.json"))}
    return Known(metadata, {**known.roots, **fetched.up_to(roots.version_of(metadata["root.json"]))})


def _asked(updater: Updater, path: str) -> Target | None:
    found = updater.get_targetinfo(path)
    if found is None:
        return None
    sha256 = found.hashes.get("sha256", "")
    if not _SHA256.fullmatch(sha256):  # it becomes part of a file's name; python-tuf takes any text
        raise UpdateError(Code.UNTRUSTED, f"{path} is signed without a SHA-256")
    # a copy, in plain types
    custom = json.loads(json.dumps(found.custom or {}))
    return Target(path, found.length, sha256, custom if isinstance(custom, dict) else {})


@contextmanager
def _working() -> Iterator[Path]:
    """Make the passing folder that python-tuf works in."""
    try:
        with tempfile.TemporaryDirectory(prefix="reed-tuf-") as name:
            yield Path(name)
    except OSError as error:
        raise StoreError(f"the metadata cannot be worked on: {error.strerror or error}") from None


@contextmanager
def _explained() -> Iterator[None]:
    """Say what a failure of python-tuf means for an update."""
    try:
        yield
    except exceptions.ExpiredMetadataError as error:
        raise UpdateError(Code.EXPIRED, f"{error}; somebody may be holding newer metadata back") from None
    except exceptions.BadVersionNumberError as error:
        raise UpdateError(Code.OLDER, f"the metadata are older than those seen before: {error}") from None
    except exceptions.DownloadHTTPError as error:
        raise UpdateError(Code.UNREACHABLE, f"metadata: {error}", passing=True) from None
    except exceptions.DownloadError as error:
        raise UpdateError(Code.UNTRUSTED, f"metadata: {error}") from None
    except exceptions.RepositoryError as error:
        reason = " ".join(str(error).split())[:200]
        raise UpdateError(Code.UNTRUSTED, f"the metadata cannot be trusted: {reason}") from None
    except _BROKEN as error:
        raise UpdateError(Code.UNTRUSTED, f"the metadata are broken ({type(error).__name__})") from None
