"""Builds the Debian packages from what git knows, in a clean Debian 13 tree without a network.

python -m tests.system.harness.package FOLDER     builds them twice, compares, and leaves them in FOLDER
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.system.harness.machine import Machine
from tests.system.harness.tree import REPOSITORY, why_not

_PARTS = (
    "gateway",
    "cloud",
    "debian",
    "systemd",
    "docs",
    "setup.cfg",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
_VENDOR = REPOSITORY / "debian" / "vendor"
_BUILD_S = 300.0


def build(source: Path, work: Path, output: Path, *, checked: bool = False) -> list[Path]:
    """Build once and return the packages, in `output`.

    Args:
        source: What `copy_source` made.
        work: An empty folder for the build.
        output: Where the packages go.
        checked: lintian must find nothing in them.

    Raises:
        AssertionError: The build failed, or lintian found something; the message has its last words.
    """
    output.mkdir(parents=True, exist_ok=True)
    with Machine(work, "builder", tree="tree-build") as machine:
        shutil.copytree(source, machine.path("/build/reed"))
        machine.run(
            "sh",
            "-euc",
            "cd /build/reed && dpkg-buildpackage -us -uc -b",
            timeout_s=_BUILD_S,
            LC_ALL="C.UTF-8",
        )
        built = sorted(machine.path("/build").glob("*.deb"))
        if checked:
            names = [f"/build/{package.name}" for package in built]
            lintian = ("lintian", "--pedantic", "--fail-on=error,warning,info,pedantic", "--allow-root")
            machine.run(*lintian, *names, timeout_s=_BUILD_S, LC_ALL="C.UTF-8")
        return [Path(shutil.copy(package, output)) for package in built]


def fetch_vendored() -> None:
    """Get what Debian has only in an older version, by its hash. Raises subprocess.CalledProcessError."""
    wanted = _VENDOR / "requirements.txt"
    there = {wheel: f"sha256:{_summary(wheel)}" in wanted.read_text() for wheel in _VENDOR.glob("*.whl")}
    for wheel, is_wanted in there.items():
        if not is_wanted:
            wheel.unlink()
    if any(there.values()):
        return
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run(
        [*pip, "--require-hashes", "--only-binary=:all:", "--dest", _VENDOR, "--requirement", wanted],
        check=True,
    )


def copy_source(to: Path) -> Path:
    """Copy what git knows or would add, so that nothing else gets into a package; return the copy."""
    fetch_vendored()
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_PARTS],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    ).stdout.split(b"\0")
    for name in filter(None, listed):
        source = REPOSITORY / name.decode()
        if source.is_file():
            target = to / name.decode()
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    for wheel in _VENDOR.glob("*.whl"):
        shutil.copy(wheel, to / "debian" / "vendor")
    return to


@dataclass(frozen=True, slots=True)
class Packages:
    """What was built."""

    gateway: Path
    cloud: Path


def build_once(folder: Path) -> Packages:
    """Build both packages and return them. Raises AssertionError, subprocess.CalledProcessError."""
    cloud, gateway = build(copy_source(folder / "source"), folder / "work", folder)
    return Packages(gateway, cloud)


def with_version(package: Path, version: str, folder: Path) -> Path:
    """Return a package of the gateway with the same content that calls itself another version."""
    content = folder / f"content-{version}"
    subprocess.run(["dpkg-deb", "--raw-extract", package, content], check=True)
    _replace(content / "DEBIAN" / "control", r"^Version: .*$", f"Version: {version}")
    _replace(
        content / "usr/share/reed-gateway/gateway/__init__.py",
        r"^__version__ = .*$",
        f'__version__ = "{version}"',
    )
    made = folder / f"reed-gateway_{version}_all.deb"
    subprocess.run(["dpkg-deb", "--build", content, made], check=True, stdout=subprocess.DEVNULL)
    return made


def _replace(path: Path, pattern: str, by: str) -> None:
    text, count = re.subn(pattern, by, path.read_text(), flags=re.MULTILINE)
    assert count == 1, f"{path}: {pattern}"
    path.write_text(text)


def main() -> int:
    """Build twice; they must be equal to the last byte."""
    if reason := why_not():
        print(f"make deb: {reason}; on Debian 13 itself: dpkg-buildpackage -us -uc -b", file=sys.stderr)
        return 69
    folder = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as work:
        source = copy_source(Path(work) / "source")
        first = build(source, Path(work) / "1", folder, checked=True)
        second = build(source, Path(work) / "2", Path(work) / "again")
        return _compare(first, second)


def _compare(first: list[Path], second: list[Path]) -> int:
    for one, other in zip(first, second, strict=True):
        summary = _summary(one)
        if summary != _summary(other):
            print(f"{one.name}: two builds differ", file=sys.stderr)
            return 1
        print(f"{one}  {one.stat().st_size / 1024:.0f} KiB  sha256 {summary}")
    return 0


def _summary(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
