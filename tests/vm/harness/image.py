"""The Pi's disk, made once and kept until its recipe changes."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).parents[1] / "image"
CACHE = Path(os.environ.get("REED_VM_CACHE", "var/vm"))
_FILES = ("disk.img", "vmlinuz", "initrd.img", "id_ed25519")


@dataclass(frozen=True, slots=True)
class Image:
    """A folder with everything that a Pi starts from; nothing in it is written by a running one."""

    folder: Path

    @property
    def disk(self) -> Path:
        """The root file system, raw."""
        return self.folder / "disk.img"

    @property
    def kernel(self) -> Path:
        """Debian's kernel."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Its initial file system."""
        return self.folder / "initrd.img"

    @property
    def key(self) -> Path:
        """The private ssh key that root of the Pi accepts."""
        return self.folder / "id_ed25519"


def ready_image(cache: Path = CACHE) -> Image:
    """Return the image of this recipe, made now if need be (two minutes and half a gigabyte).

    Raises:
        RuntimeError: It could not be made; the log that it names says why.
    """
    with alone(cache):
        folder = cache.absolute() / recipe_hash()
        if not all((folder / name).exists() for name in _FILES):
            _build(folder)
            _forget_others(cache, folder)
    return Image(folder)


@contextmanager
def alone(cache: Path = CACHE) -> Iterator[None]:
    """Let one process at a time change the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def recipe_hash(recipe: Path = RECIPE) -> str:
    """Return what changes with any file of the recipe."""
    summary = hashlib.sha256()
    for path in sorted(recipe.iterdir()):
        summary.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return summary.hexdigest()[:16]


def _build(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    log = folder / "build.log"
    pip = f"PIP={sys.executable} -m pip"
    as_root = [] if os.geteuid() == 0 else ["sudo"]
    with log.open("wb") as output:
        made = subprocess.run(
            [*as_root, "env", pip, str(RECIPE / "build.sh"), str(folder), str(os.getuid())],
            stdout=output,
            stderr=output,
            check=False,
        )
    if made.returncode:
        end = log.read_text(errors="replace").splitlines()[-20:]
        raise RuntimeError("\n".join([f"the virtual Pi's disk could not be made; see {log}:", *end]))


def _forget_others(cache: Path, folder: Path) -> None:
    for other in cache.iterdir():
        if other.is_dir() and other.name != folder.name:
            shutil.rmtree(other, ignore_errors=True)
