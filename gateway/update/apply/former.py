"""The package that runs now, as a file to go back to: the one that was installed, or made of what is there.

A first update finds no file: somebody has installed the package by hand and thrown it away. Then its files
are packed again, with the control files that dpkg keeps (as dpkg-repack does).
"""

import shutil
import stat
from contextlib import suppress
from pathlib import Path

from gateway import durable
from gateway.domain.update.model import Code
from gateway.errors import UpdateError
from gateway.update.apply import files, packages, programs
from gateway.update.apply.packages import PACKAGE

_PACK_S = 300.0
_ASK_S = 60.0
_MAY_BE_MISSING = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/bash-completion")
"""What dpkg may be told to leave out."""
_NOT_IN_CONTROL = ("Status:", "Conffiles:")


class Former:
    """Package files in root's own folder.

    Args:
        folder: Where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = folder / f"{PACKAGE}.deb"
        self._before = folder / "before.deb"

    def keep(self, file: Path) -> None:
        """Keep the file of what has been committed, and of what ran before it; no others."""
        if self._running.exists():
            self._running.replace(self._before)
        file.replace(self._running)
        durable.sync_folder(self._folder)

    def before(self) -> tuple[str, Path] | None:
        """Return version and file of what ran before, if there is one. Raises UpdateError."""
        return (packages.version_of(self._before), self._before) if self._before.exists() else None

    def running(self) -> Path:
        """Return a file of what runs now. Raises UpdateError (INSTALL_FAILED) if none can be had."""
        files.folder(self._folder)
        if not (self._running.exists() and _is_installed(self._running)):
            made = self._folder / "repacked.deb"
            self._pack(made)
            made.rename(self._running)
            durable.sync_folder(self._folder)
        return self._running

    def _pack(self, made: Path) -> None:
        content = self._folder / "content"
        shutil.rmtree(content, ignore_errors=True)
        try:
            content.mkdir(mode=0o755)
            _copy_files(content)
            _copy_control(content / "DEBIAN")
            words = ("--root-owner-group", "-Zgzip", "--build", str(content), str(made))
            programs.must("dpkg-deb", *words, timeout_s=_PACK_S)
            files.sync(made)
        except OSError as error:
            detail = f"what runs now cannot be kept to go back to: {error}"
            raise UpdateError(Code.INSTALL_FAILED, detail) from None
        finally:
            shutil.rmtree(content, ignore_errors=True)


def _is_installed(file: Path) -> bool:
    with suppress(UpdateError):
        if packages.version_of(file) == packages.installed().version:
            return packages.sums_of(file) == packages.sums_of_installed() != ""
    return False


def _copy_files(content: Path) -> None:
    listed = programs.must("dpkg-query", "--listfiles", PACKAGE, timeout_s=_ASK_S).splitlines()
    for name in listed:
        if not name.startswith("/") or name == "/.":
            continue
        source, target = Path(name), content / name.lstrip("/")
        try:
            _copy(source, target)
        except FileNotFoundError:
            if not name.startswith(_MAY_BE_MISSING):
                raise


def _copy(source: Path, target: Path) -> None:
    mode = source.lstat().st_mode
    if stat.S_ISDIR(mode):
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(stat.S_IMODE(mode))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)


def _copy_control(folder: Path) -> None:
    folder.mkdir(mode=0o755)
    status = programs.must("dpkg-query", "--status", PACKAGE, timeout_s=_ASK_S)
    lines: list[str] = []
    skipped = False
    for line in status.splitlines():
        skipped = line.startswith(_NOT_IN_CONTROL) or (skipped and line.startswith(" "))
        if not skipped:
            lines.append(line)
    (folder / "control").write_text("\n".join(lines) + "\n")
    for name in programs.must("dpkg-query", "--control-list", PACKAGE, timeout_s=_ASK_S).split():
        text = programs.must("dpkg-query", "--control-show", PACKAGE, name, timeout_s=_ASK_S)
        file = folder / name
        file.write_text(text)
        file.chmod(0o755 if text.startswith("#!") else 0o644)
