"""What a test brings into a machine without changing its image: units as credentials, files as a drive."""

import hashlib
import io
import tarfile
from pathlib import Path

from tests.ota.firmware import Start

RIG = Path(__file__).parents[1] / "rig"
_DRIVE_BYTES = 1 << 20


def units() -> dict[str, str]:
    """Return systemd credentials by name: two units, and that the start of the system wants them."""
    names = {
        "systemd.extra-unit.reed-rig.service": "reed-rig.service",
        "systemd.extra-unit.reed-rig-listener.service": "reed-rig-listener.service",
        "systemd.unit-dropin.sysinit.target~rig": "sysinit.conf",
    }
    return {name: (RIG / file).read_text() for name, file in names.items()}


def write_drive(to: Path, start: Start) -> None:
    """Write the archive that the unit unpacks, with what the firmware tells about this start."""
    with tarfile.open(to, "w") as archive:
        for file in sorted(RIG.iterdir()):
            if file.is_file():
                archive.add(file, arcname=file.name)
        for name, cell in start.device_tree().items():
            entry = tarfile.TarInfo(f"dt/{name}")
            entry.size = len(cell)
            archive.addfile(entry, io.BytesIO(cell))
    with to.open("ab") as drive:
        drive.truncate(_DRIVE_BYTES)


def summary() -> str:
    """Return what changes with any file of the rig."""
    whole = hashlib.sha256()
    for path in sorted(path for path in RIG.iterdir() if path.is_file()):
        whole.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return whole.hexdigest()[:16]
