"""A target as the signed metadata describe it, and whether a device can take it."""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from gateway.domain.model import Json
from gateway.domain.update.model import Code, Kind
from gateway.errors import UpdateError
from gateway.update.trust.plain import open_plain
from gateway.update.trust.versions import older

PIECE_BYTES: Final = 1 << 20
_PATH: Final = re.compile(r"(os|app|config)(/[A-Za-z0-9_+~-][A-Za-z0-9._+~-]*){1,2}")
_PATH_MAX: Final = 200
VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:_-]{0,79}")


@dataclass(frozen=True, slots=True)
class Target:
    """A file that the repository vouches for.

    Args:
        path: In the signed metadata, e.g. "os/reed-1.4.0.raucb".
        length_bytes: Of the file.
        sha256: Of the file, in hexadecimal.
        custom: What else was signed with it: kind, version, and perhaps compatible, gateway, min_version and
            downgrade.
    """

    path: str
    length_bytes: int
    sha256: str
    custom: Mapping[str, Json] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return what was signed under this name; "" if nothing was, or no text."""
        value = self.custom.get(name)
        return value if isinstance(value, str) else ""

    @property
    def kind(self) -> str:
        """What it replaces."""
        return self.text("kind")

    @property
    def version(self) -> str:
        """That of what is inside."""
        return self.text("version")

    @property
    def file_name(self) -> str:
        """Its name in the spool; another content has another name."""
        return f"{self.sha256}.{PurePosixPath(self.path).name}"

    @property
    def server_path(self) -> str:
        """Where the server has it, below the folder of the repository."""
        return f"/targets/{PurePosixPath(self.path).parent}/{self.file_name}"


@dataclass(frozen=True, slots=True)
class Device:
    """Who would take a target.

    Args:
        gateway: Our id.
        compatible: What kind of machine this is; RAUC's word for it.
        running: Version that runs, of the kind of the target; "" if unknown.
    """

    gateway: str
    compatible: str = ""
    running: str = ""


def check_path(path: str) -> None:
    """Raise UpdateError (UNTRUSTED) unless this can be the path of a target."""
    if len(path) > _PATH_MAX or not _PATH.fullmatch(path):
        raise UpdateError(Code.UNTRUSTED, f"{path[:80]!a} is no path of a target")


def check_meant(target: Target, kind: str, version: str) -> None:
    """Raise UpdateError (UNTRUSTED) unless the target is of this kind and version; "" is any."""
    if target.kind not in tuple(Kind) or not target.path.startswith(f"{target.kind}/"):
        raise UpdateError(Code.UNTRUSTED, f"{target.path} is signed as {target.kind[:20]!a}, which it is not")
    if not VERSION.fullmatch(target.version):
        raise UpdateError(Code.UNTRUSTED, f"{target.path} is signed without a version")
    for wanted, signed in ((kind, target.kind), (version, target.version)):
        if wanted and wanted != signed:
            raise UpdateError(Code.UNTRUSTED, f"{target.path} is signed as {signed[:80]!a}, not {wanted!a}")


def check_fits(target: Target, device: Device, *, downgrade: bool = False) -> None:
    """Raise UpdateError unless this device may take the target now.

    Args:
        target: As signed.
        device: Who would take it.
        downgrade: The order says that an older version is meant; the metadata must say so, too.

    Raises:
        UpdateError: INCOMPATIBLE or OLDER.
    """
    for name, ours in (("compatible", device.compatible), ("gateway", device.gateway)):
        wanted = target.custom.get(name)
        if wanted is not None and wanted != ours:
            detail = f"{target.path} is for {name} {str(wanted)[:80]!a}; this is {ours!a}"
            raise UpdateError(Code.INCOMPATIBLE, detail)
    if not device.running:
        return
    least = str(target.custom.get("min_version") or "")[:80]
    if least and older(device.running, least):
        detail = f"{target.version} needs {least} first; {device.running} runs"
        raise UpdateError(Code.INCOMPATIBLE, detail)
    meant = downgrade and target.custom.get("downgrade") is True and target.kind != Kind.OS
    if older(target.version, device.running) and not meant:
        raise UpdateError(Code.OLDER, f"{target.version} is older than {device.running}, which runs")


def check_file(path: Path, target: Target) -> None:
    """Return if the file is the target to the last bit; it is read once, through no link.

    Raises:
        UpdateError: UNTRUSTED, or UNREACHABLE if it is not there.
    """
    try:
        with open_plain(path) as file:
            if os.fstat(file.fileno()).st_size != target.length_bytes:
                detail = f"{path.name} is not the file of {target.length_bytes} bytes that was signed"
                raise UpdateError(Code.UNTRUSTED, detail)
            digest = hashlib.sha256()
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
    except FileNotFoundError:
        raise UpdateError(Code.UNREACHABLE, f"{path.name} has not been fetched", passing=True) from None
    except OSError as error:
        raise UpdateError(Code.UNTRUSTED, f"{path.name} cannot be read: {error.strerror}") from None
    if digest.hexdigest() != target.sha256:
        raise UpdateError(Code.UNTRUSTED, f"{path.name} is not the file that was signed (SHA-256 differs)")
