"""The demo's folder: what lies where, that it is ours, and that nobody else uses it now."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ConfigError

_MARK = ".reed-demo"
_SOCKET_PATH_MAX_BYTES = 107
"""unix(7): sun_path has 108, the last one is NUL."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the demo keeps what.

    Args:
        folder: The cloud's home, logs, configuration and state.
        runtime: Sockets; elsewhere if paths in `folder` would be too long for them.
    """

    folder: Path
    runtime: Path

    @property
    def state(self) -> Path:
        """The gateway's state folder; each demo begins with an empty one."""
        return self.folder / "state"

    @property
    def cloud(self) -> Path:
        """The home of `reed-cloud`, with its authority; kept from demo to demo."""
        return self.folder / "cloud"

    @property
    def config_file(self) -> Path:
        """The gateway's configuration."""
        return self.folder / "gateway.toml"

    @property
    def building_socket(self) -> Path:
        """Where the building listens."""
        return self.runtime / "building"

    @property
    def notify_socket(self) -> Path:
        """Where the gateway tells that it is ready."""
        return self.runtime / "notify"

    @property
    def cloud_notify_socket(self) -> Path:
        """Where the cloud tells that it is ready."""
        return self.runtime / "cloud-notify"

    @property
    def control_socket(self) -> Path:
        """Where the gateway listens to local commands."""
        return self.runtime / "org.reed.Gateway"

    def log_file(self, name: str) -> Path:
        """What a process writes to stderr."""
        return self.folder / f"{name}.log"


@contextmanager
def occupied(folder: Path) -> Iterator[Place]:
    """Have the folder for one demo: made if missing, emptied of an earlier demo, locked for others.

    Raises:
        ConfigError: It is not ours, somebody uses it, or it cannot be written.
    """
    with ExitStack() as closing:
        try:
            place = _occupy(folder.absolute(), closing)
        except OSError as error:
            where = str(error.filename or folder)
            raise ConfigError((where, f"{error.strerror}; name another folder with --folder")) from error
        yield place


def _occupy(folder: Path, closing: ExitStack) -> Place:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / _MARK).exists() and any(folder.iterdir()):
        problem = "holds something else; name an empty folder or one of an earlier demo with --folder"
        raise ConfigError((str(folder), problem))
    mark = closing.enter_context((folder / _MARK).open("ab"))
    _lock(mark.fileno(), folder)
    place = Place(folder, closing.enter_context(_runtime(folder)))
    _clear(place)
    return place


def _lock(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        problem = "another demo runs there; end it or name another folder with --folder"
        raise ConfigError((str(folder), problem)) from None


@contextmanager
def _runtime(folder: Path) -> Iterator[Path]:
    inside = Place(folder, folder / "run")
    if len(os.fsencode(inside.control_socket)) <= _SOCKET_PATH_MAX_BYTES:
        yield inside.runtime
        return
    with tempfile.TemporaryDirectory(prefix="reed-demo-") as short:
        yield Path(short) / "run"


def _clear(place: Place) -> None:
    """Take away what an earlier demo left; its cloud stays."""
    for stale in (place.state, place.runtime):
        if stale.exists():
            shutil.rmtree(stale)
    place.runtime.mkdir(mode=0o700)
    for log in place.folder.glob("*.log"):
        log.unlink()
