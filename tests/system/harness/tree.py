"""Debian 13 trees, each made once and kept until its recipe changes."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

RECIPES = Path(__file__).parents[1]
REPOSITORY = Path(__file__).parents[3]
CACHE = Path(os.environ.get("REED_TREE_CACHE", REPOSITORY / "var" / "system"))


def why_not() -> str:
    """Return why this machine can have no tree, or "" if it can."""
    if os.geteuid() != 0:
        return "a Debian 13 tree needs root (mmdebstrap, mount)"
    if shutil.which("mmdebstrap") is None:
        return "mmdebstrap is missing; install it with: apt install mmdebstrap debian-archive-keyring"
    return ""


def ready_tree(name: str = "tree", cache: Path = CACHE) -> Path:
    """Return the tree of a recipe, made now if need be (a minute, half a gigabyte); nobody writes in it.

    Args:
        name: Of the recipe's folder in tests/system.
        cache: Where trees are kept.

    Raises:
        RuntimeError: It could not be made; the log that it names says why.
    """
    recipe = RECIPES / name
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = cache / f"{name}-{_hash(recipe)}"
        if not (folder / "ready").exists():
            _build(recipe, folder)
            (folder / "ready").touch()
            _forget_others(cache, name, folder)
    return folder / "tree"


def _hash(recipe: Path) -> str:
    summary = hashlib.sha256()
    for path in sorted(recipe.iterdir()):
        summary.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return summary.hexdigest()[:16]


def _build(recipe: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    log = folder / "build.log"
    with log.open("wb") as output:
        made = subprocess.run([recipe / "build.sh", folder], stdout=output, stderr=output, check=False)
    if made.returncode:
        end = log.read_text(errors="replace").splitlines()[-20:]
        raise RuntimeError("\n".join([f"the Debian 13 tree could not be made; see {log}:", *end]))


def _forget_others(cache: Path, name: str, folder: Path) -> None:
    for other in cache.glob(f"{name}-{'?' * 16}"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
