"""Writing a sensor into the configuration file: comments stay, and a wrong file never takes its place.

The new text is written beside the old file with its owner and mode, read as the gateway would read it, and
only then put in its place; the old one stays as `<file>.bak`.
"""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.config.read import read
from gateway.errors import ConfigError, StoreError

if TYPE_CHECKING:
    import tomlkit


def adopt(path: Path, sensor_id: str, keys: dict[str, str], zone_id: str) -> Path:
    """Add `[sensor.<id>]` and name it in `[zone.<id>]`; return where the old file is kept.

    Raises:
        ConfigError: The result would not be valid; nothing has changed.
        StoreError: The file cannot be written.
    """
    import tomlkit  # noqa: PLC0415  only here

    path = path.resolve()
    try:
        document = tomlkit.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    _add(document, sensor_id, keys, zone_id)
    try:
        new = _write_beside(path, tomlkit.dumps(document))
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot write the new configuration: {error.strerror}") from None
    try:
        read(new)
        backup = path.with_name(f"{path.name}.bak")
        shutil.copy2(path, backup)
        _own_as(path, backup)
        new.replace(path)
        _sync_folder(path.parent)
    except ConfigError as error:
        problems = ((key.replace(new.name, path.name), problem) for key, problem in error.problems)
        raise ConfigError(*problems) from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be replaced: {error.strerror}") from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
    return backup


def _add(document: "tomlkit.TOMLDocument", sensor_id: str, keys: dict[str, str], zone_id: str) -> None:
    import tomlkit  # noqa: PLC0415

    table = tomlkit.table()
    for key, value in keys.items():
        table.add(key, value)
    table.add(tomlkit.nl())
    if "sensor" not in document:
        document.add("sensor", tomlkit.table(is_super_table=True))
    sensors: Any = document["sensor"]  # Any: tomlkit's items are what the file holds
    sensors[sensor_id] = table
    zone: Any = document.get("zone", {}).get(zone_id)
    if zone is None:
        raise ConfigError((f"zone.{zone_id}", "there is no such zone"))
    zone.setdefault("sensors", []).append(sensor_id)


def _write_beside(path: Path, text: str) -> Path:
    # in the same folder: relative paths inside mean the same, and the replacement is atomic
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".toml", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _own_as(path, new)
    except OSError:
        new.unlink()
        raise
    return new


def _own_as(model: Path, path: Path) -> None:
    """Give a file the owner and mode of another: it may hold keys. Raises OSError."""
    status = model.stat()
    if (path.stat().st_uid, path.stat().st_gid) != (status.st_uid, status.st_gid):
        os.chown(path, status.st_uid, status.st_gid)
    path.chmod(status.st_mode & 0o7777)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
