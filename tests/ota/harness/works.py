"""Where gateways and updates are made: package, keys, image, bundles, repository. Kept for its recipe."""

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gateway.cli.demo import devca
from ota import adding, founding, publishing, sealing, signing
from ota.adding import Release
from ota.passphrase import Passphrase
from ota.repository import Repository
from tests.ota.harness import rig
from tests.system.harness import package

PROJECT = Path(__file__).parents[3]
CACHE = Path(os.environ.get("REED_OTA_CACHE", PROJECT / "var" / "ota"))
GATEWAY_ID = "house-7"
INSIDE = "10.0.2.100"
"""The address of everything outside, as the gateway knows it."""
UPDATES_PORT, BROKER_PORT = 8443, 8883
COMPATIBLE = "reed-qemu-amd64"
FIRST, GOOD = "1.0.0", "1.1.0"
_OTA = PROJECT / "tests" / "ota"
_INGREDIENTS = ("gateway", "debian", "systemd", "ota", "tests/ota/overlay", "tests/ota/variants")
_LARGE_BYTES = 1 << 20
_NOBODY = Passphrase(Path("/nonexistent"))
"""Keys of a test are open."""


class Alone:
    """One process at a time; within it, as deep as one likes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._depth = 0
        self._file: IO[str] | None = None

    def __enter__(self) -> None:
        if not self._depth:
            self._file = self._path.open("w")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth and self._file:
            self._file.close()


class Works:
    """One folder with everything; made by the first who needs it.

    Args:
        folder: Of this recipe.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.alone = Alone(folder / "lock")
        self.keys = folder / "keys"
        with self.alone:
            self.ca = devca.ensure(folder / "ca", GATEWAY_ID, (INSIDE, "localhost"))
            if not self.keys.exists():
                _run(PROJECT / "ota" / "pki", self.keys)

    @property
    def package(self) -> Path:
        """The gateway's package, of this checkout."""
        folder = self.folder / "deb"
        with self.alone:
            if not folder.exists():
                with _fresh(folder) as made:
                    package.build_once(made)
        return next(folder.glob("reed-gateway*.deb"))

    @property
    def repository(self) -> Repository:
        """The vendor's repository."""
        folder = self.folder / "repository"
        with self.alone:
            if folder.exists():
                return Repository(folder)
            with _fresh(folder) as made:
                seal(founding.found(made, _NOBODY, founding.Plan(test=True)))
        return Repository(folder)

    def release(self, file: Path, version: str = GOOD, compatible: str = COMPATIBLE) -> str:
        """Release a bundle, once; return the target's path."""
        path = f"os/{file.name}"
        with self.alone:
            if (self.folder / f"{file.name}.released").exists():
                return path
            adding.add(self.repository, Release("os", file, version, compatible))
            seal(self.repository)
            (self.folder / f"{file.name}.released").touch()
        return path

    def image(self, version: str, *variants: str, disk: bool = False) -> Path:
        """Return a folder with root.ext4 and boot.vfat, and disk.img if that is wanted."""
        folder = self.folder / "-".join(("image", version, *variants))
        with self.alone:
            if (folder / ("disk.img" if disk else "root.ext4")).exists():
                return folder
            root = self.repository.metadata / "1.root.json"
            overlays = [_OTA / "overlay", self._site(), *(_OTA / "variants" / name for name in variants)]
            words = ["amd64", "--package", self.package, "--version", version, "--tuf-root", root]
            words += ["--keyring", self.keys / "release-root.pem"]
            for overlay in overlays:
                words += ["--overlay", overlay]
            with _fresh(folder) as made:
                _run(PROJECT / "ota/image/build", *words, "--output", made, *([] if disk else ["--no-disk"]))
        return folder

    def bundle(self, version: str, *variants: str) -> Path:
        """Return a signed bundle of an image."""
        file = self.folder / ("-".join(("reed", version, *variants)) + ".raucb")
        with self.alone:
            return file if file.exists() else self.seal(self.image(version, *variants), file)

    def small(
        self, name: str, *, version: str = GOOD, compatible: str = COMPATIBLE, by: str = "release"
    ) -> Path:
        """Return a bundle that RAUC has to refuse; what is in it would not start."""
        file = self.folder / f"{name}.raucb"
        with self.alone:
            if file.exists():
                return file
            with _fresh(self.folder / f"small-{name}") as made:
                for image in ("root.ext4", "boot.vfat"):
                    (made / image).write_bytes(os.urandom(1 << 20))
                (made / "version").write_text(version)
                (made / "compatible").write_text(compatible)
            self.seal(self.folder / f"small-{name}", file, by=by)
        return file

    def seal(self, image: Path, file: Path, *, by: str = "release") -> Path:
        """Make a bundle of a folder with images, signed by "release" or by "dev", whom no gateway trusts."""
        words = ["--cert", self.keys / f"{by}-signer.pem", "--key", self.keys / f"{by}-signer.key"]
        draft = file.with_suffix(".new")
        draft.unlink(missing_ok=True)
        _run(
            PROJECT / "ota/bundle",
            image,
            *words,
            "--keyring",
            self.keys / f"{by}-root.pem",
            "--output",
            draft,
        )
        return draft.replace(file)

    def _site(self) -> Path:
        folder = self.folder / "site"
        if not folder.exists():
            with _fresh(folder) as made:
                pki = made / "files/etc/reed/pki"
                pki.mkdir(parents=True)
                for file in (self.ca.ca_file, self.ca.command_key_file):
                    shutil.copy(file, pki)
                for file in (self.ca.cert_file(GATEWAY_ID), self.ca.key_file(GATEWAY_ID)):
                    shutil.copy(file, pki)
                (made / "files/etc/reed/gateway.toml").write_text(_config())
                (made / "customise").write_text(_SETTLE)
                (made / "customise").chmod(0o755)
        return folder


class Shop:
    """A copy of the vendor's repository for one test; `www` is what is served of it."""

    def __init__(self, works: Works, folder: Path) -> None:
        shutil.copytree(works.repository.folder, folder / "repository", copy_function=_link)
        self.www = folder / "www"
        self.repo = Repository(folder / "repository")
        sealing.refresh(self.repo, _NOBODY)  # it ends within a day
        publishing.publish(self.repo, self.www)

    def expire(self) -> None:
        """Serve seals that were good until yesterday."""
        sealing.seal(self.repo, _NOBODY, days=-1.0)
        publishing.publish(self.repo, self.www)


def works() -> Works:
    """Return the works of this checkout; those of former ones are forgotten."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if given := os.environ.get("REED_OTA_WORKS"):
        return Works(Path(given))
    with Alone(CACHE / "works.lock"):
        folder = CACHE / recipe()
        for other in CACHE.iterdir():
            if other.is_dir() and other != folder:
                shutil.rmtree(other)
        folder.mkdir(exist_ok=True)
        return Works(folder)


def recipe() -> str:
    """Return what changes with any file that gets into an image."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_INGREDIENTS]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, check=True).stdout.split(b"\0")
    whole = hashlib.sha256(rig.summary().encode())
    for name in sorted(filter(None, names)):
        file = PROJECT / name.decode()
        if file.is_file() and "/demo/" not in file.as_posix():
            whole.update(name + b"\0" + file.read_bytes() + b"\0")
    return whole.hexdigest()[:16]


def _config() -> str:
    base = (_OTA / "overlay/files/etc/reed/gateway.toml").read_text()
    pki = "/etc/reed/pki"
    return f"""{base}
[link]
host = "{INSIDE}"
port = {BROKER_PORT}
ca_file = "{pki}/ca.pem"
cert_file = "{pki}/{GATEWAY_ID}.pem"
key_file = "{pki}/{GATEWAY_ID}.key.pem"
command_key_file = "{pki}/command.pub.pem"
backoff_cap_s = 5.0
replay_per_s = 0
[update]
url = "https://{INSIDE}:{UPDATES_PORT}/"
health_timeout_s = 240
"""


_SETTLE = """#!/bin/sh
set -eu
chown -R root:reed /etc/reed
chmod -R u=rwX,g=rX,o= /etc/reed
"""


def seal(repo: Repository) -> None:
    """Sign and stage all drafts."""
    signing.sign(repo, (), _NOBODY)
    sealing.stage(repo, _NOBODY)


def _link(source: str, to: str) -> str:
    """Large files are only read."""
    if Path(source).stat().st_size > _LARGE_BYTES:
        os.link(source, to)
        return to
    return shutil.copy2(source, to)


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """Make a folder that is there when it is complete."""
    draft = folder.with_name(folder.name + ".new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    yield draft
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)


def _run(*words: str | Path) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
