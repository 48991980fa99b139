"""The folder `identity/`: two slots for a key and its certificate, and which of them is in use.

    a/key.pem a/cert.pem   b/...   current -> a    trial: "b" is complete and waits to be tried

`current` is a symbolic link that is replaced by a rename, and the slot it names is never written to: at every
moment it is a pair that has worked. Whoever changes anything holds the lock; who only reads needs none.

Everything here raises IdentityError if the folder cannot be read or written (BusyError: not now).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from gateway import durable
from gateway.errors import IdentityError
from gateway.identity import records
from gateway.identity.lock import Lock, problem
from gateway.identity.pair import Pair
from gateway.identity.records import Attempt, Cloud

NAMES = ("a", "b")

_LOCK_WAIT_S = 10.0


class Slots:
    """The identity folder.

    Args:
        folder: `<state_dir>/identity`; made when something is first written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = Lock(folder)

    # --- looking ------------------------------------------------------------------------------------

    def pair(self, slot: str) -> Pair:
        """Return the paths of a slot, whatever is there."""
        return Pair(slot, self.folder / slot / "cert.pem", self.folder / slot / "key.pem")

    def current(self) -> Pair | None:
        """Return the pair in use; None before the first enrolment."""
        slot = self._current_slot()
        return self._complete(slot) if slot else None

    def trial(self) -> Pair | None:
        """Return the pair that waits to be tried, if there is one."""
        slot = self._staged()
        return self._complete(slot) if slot and slot != self._current_slot() else None

    def spare(self) -> Pair | None:
        """Return the pair that is not in use, if it is complete: older, or refused, or to be tried."""
        slot = self._current_slot()
        return self._complete(_other(slot)) if slot else None

    @property
    def ca_file(self) -> Path:
        """PEM: the roots that we trust."""
        return self.folder / "ca.pem"

    @property
    def command_key_file(self) -> Path:
        """PEM: the public keys that the cloud signs commands with."""
        return self.folder / "command.pub.pem"

    @property
    def cloud(self) -> Cloud | None:
        """Where we are enrolled, if that is known."""
        return records.parse_cloud(self.read(self.folder / "cloud.json"))

    @property
    def attempt(self) -> Attempt | None:
        """The last renewal and what came of it."""
        return records.parse_attempt(self.read(self.folder / "renewal.json"))

    # --- changing -----------------------------------------------------------------------------------

    def prepare(self) -> Pair:
        """Empty the slot that is not in use, and return its paths for a new key and certificate."""
        with self._changing():
            pair = self.pair(_other(self._current_slot() or "b"))
            durable.remove(self.folder / "trial")
            durable.folder(pair.key_file.parent)
            durable.empty(pair.key_file.parent)
        return pair

    def stage(self, pair: Pair) -> None:
        """Say that this pair is complete and waits to be tried."""
        with self._changing():
            self._demand(pair)
            durable.write(self.folder / "trial", f"{pair.slot}\n".encode())

    def promote(self, pair: Pair) -> None:
        """Take this pair into use from now on; the former one stays as the spare."""
        with self._changing():
            self._demand(pair)
            if self._current_slot() != pair.slot:
                durable.point(self.folder / "current", pair.slot)
            elif self._staged() != pair.slot:
                return
            self._note(pair, "promoted", "")
            durable.remove(self.folder / "trial")

    def reject(self, pair: Pair, why: str) -> None:
        """Say that this pair was tried and refused; the current one stays in use."""
        with self._changing():
            if self._staged() == pair.slot:
                self._note(pair, "rejected", why)
                durable.remove(self.folder / "trial")

    def save_cloud(self, cloud: Cloud) -> None:
        """Keep where we are enrolled."""
        with self._changing():
            durable.write(self.folder / "cloud.json", records.cloud_json(cloud))

    def save_ca(self, pem: bytes) -> None:
        """Keep the roots that we trust."""
        with self._changing():
            durable.write(self.ca_file, pem)

    def save_command_keys(self, pem: bytes) -> None:
        """Keep the public keys that the cloud signs commands with."""
        with self._changing():
            durable.write(self.command_key_file, pem)

    def save_attempt(self, attempt: Attempt) -> None:
        """Keep how a renewal went. A disk that refuses this refuses the rest, too, which is told."""
        with suppress(OSError, IdentityError), self.locked(_LOCK_WAIT_S):
            durable.write(self.folder / "renewal.json", records.attempt_json(attempt))

    # --- files --------------------------------------------------------------------------------------

    def locked(self, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """Keep others from changing anything while entered; see `Lock.held`."""
        return self._lock.held(wait_s)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self.locked(_LOCK_WAIT_S):
            try:
                yield
            except OSError as error:
                raise problem(self.folder, error) from error

    def _current_slot(self) -> str:
        """Return "a", "b" or, before the first enrolment, ""."""
        try:
            slot = str((self.folder / "current").readlink())
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise problem(self.folder / "current", error) from None
        return slot if slot in NAMES else ""

    def _staged(self) -> str:
        slot = self.read(self.folder / "trial").decode(errors="replace").strip()
        return slot if slot in NAMES else ""

    def _complete(self, slot: str) -> Pair | None:
        pair = self.pair(slot)
        return pair if self._size(pair.cert_file) and self._size(pair.key_file) else None

    def _demand(self, pair: Pair) -> None:
        if pair.slot not in NAMES or self._complete(pair.slot) is None:
            raise IdentityError(f"{self.folder / pair.slot}: the pair is not complete; renew again")

    def _note(self, pair: Pair, outcome: str, detail: str) -> None:
        """Add the outcome to the attempt that this pair came from."""
        attempt = self.attempt
        if attempt is not None and attempt.slot == pair.slot and attempt.outcome == "staged":
            self.save_attempt(replace(attempt, outcome=outcome, detail=detail))

    def _size(self, path: Path) -> int:
        try:
            return path.stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise problem(path, error) from None

    def read(self, path: Path) -> bytes:
        """Return what is in a file; nothing if it is not there."""
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise problem(path, error) from None


def _other(slot: str) -> str:
    return NAMES[slot == NAMES[0]]
