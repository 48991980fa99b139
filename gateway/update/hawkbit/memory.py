"""What the source remembers from run to run. It may be lost: then the server is asked once more."""

import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gateway.errors import StoreError
from gateway.update import keep
from gateway.update.ports import Clock

LEAST_S: Final = 30.0
MOST_S: Final = 86_400.0
_EARLY: Final = 0.1
"""Up to this share early, so that gateways which started together do not ask together."""


class _Kept(msgspec.Struct):
    boot: str = ""
    due_s: float = 0.0
    attributes: str = ""
    denied: str = ""
    unbound: str = ""


class Memory:
    """A small file.

    Args:
        path: Where it is.
        clock: For when to ask again.
        chance: Evenly random in 0 to 1.
    """

    def __init__(self, path: Path, clock: Clock, chance: Callable[[], float] = random.random) -> None:
        self._path = path
        self._clock = clock
        self._chance = chance
        self._kept = _read(path)

    @property
    def wait_s(self) -> float:
        """How long the server wants to be left alone yet."""
        left_s = self._kept.due_s - self._clock.now_s()
        return left_s if self._kept.boot == self._clock.boot_id and 0 < left_s <= MOST_S else 0.0

    def asked(self, sleep_s: float) -> None:
        """Note that the server was asked and wants to be asked again after this time."""
        bounded_s = min(max(sleep_s, LEAST_S), MOST_S)
        self._kept.boot = self._clock.boot_id
        self._kept.due_s = self._clock.now_s() + bounded_s * (1 - _EARLY * self._chance())
        self._write()

    def forget_wait(self) -> None:
        """Let the server be asked at once."""
        self._note("boot", "")

    @property
    def attributes(self) -> str:
        """What the server knows about us, as a digest."""
        return self._kept.attributes

    @attributes.setter
    def attributes(self, digest: str) -> None:
        self._note("attributes", digest)

    @property
    def denied(self) -> str:
        """The action whose confirmation was last denied: once is enough."""
        return self._kept.denied

    @denied.setter
    def denied(self, action: str) -> None:
        self._note("denied", action)

    @property
    def unbound(self) -> str:
        """The action known to have no window of the server."""
        return self._kept.unbound

    @unbound.setter
    def unbound(self, action: str) -> None:
        self._note("unbound", action)

    def _note(self, name: str, value: str) -> None:
        if getattr(self._kept, name) != value:
            setattr(self._kept, name, value)
            self._write()

    def _write(self) -> None:
        draft = self._path.with_suffix(".new")
        # without fsync: a power cut may lose it, and no update waits for this disk
        with contextlib.suppress(OSError, StoreError):
            keep.folder(self._path.parent)
            draft.write_bytes(msgspec.json.encode(self._kept))
            draft.replace(self._path)


def _read(path: Path) -> _Kept:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return _Kept()
