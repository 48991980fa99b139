"""The Debian 13 tree, made once and kept until its recipe changes."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

RECIPE = Path(__file__).parents[1] / "tree"
REPOSITORY = Path(__file__).parents[3]
CACHE = Path(os.environ.get("REED_TREE_CACHE", REPOSITORY / "var" / "system"))


def why_not() -> str:
    """Return why this machine can have no tree, or "" if it can."""
    if os.geteuid() != 0:
        return "a Debian 13 tree needs root (mmdebstrap, mount)"
    if shutil.which("mmdebstrap") is None:
        return "mmdebstrap is missing; install it with: apt install mmdebstrap debian-archive-keyring"
    return ""


def ready_tree(cache: Path = CACHE) -> Path:
    """Return the tree of this recipe, made now if need be (three minutes, a gigabyte); nobody writes in it.

    Raises:
        RuntimeError: It could not be made; the log that it names says why.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = cache / _recipe_hash()
        if not (folder / "ready").exists():
            _build(folder)
            (folder / "ready").touch()
            _forget_others(cache, folder)
    return folder / "tree"


def _recipe_hash() -> str:
    summary = hashlib.sha256()
    for path in sorted(RECIPE.iterdir()):
        summary.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return summary.hexdigest()[:16]


def _build(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    log = folder / "build.log"
    with log.open("wb") as output:
        made = subprocess.run([RECIPE / "build.sh", folder], stdout=output, stderr=output, check=False)
    if made.returncode:
        end = log.read_text(errors="replace").splitlines()[-20:]
        raise RuntimeError("\n".join([f"the Debian 13 tree could not be made; see {log}:", *end]))


def _forget_others(cache: Path, folder: Path) -> None:
    for other in cache.iterdir():
        if other.is_dir() and other.name != folder.name:
            shutil.rmtree(other, ignore_errors=True)
