"""Writing a sensor into the configuration file: comments stay, and a wrong file never takes its place.

The new text is written beside the old file with its owner and mode, read as the gateway would read it, and
only then put in its place; the old one stays as `<file>.bak`.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.config.read import read
from gateway.errors import ConfigError, StoreError


def check_writable(path: Path) -> None:
    """Raise StoreError if `adopt` could not write, so that nobody looks for a sensor in vain."""
    folder = path.resolve().parent
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(f"{folder}: no permission to write the configuration there; use sudo")


def adopt(path: Path, sensor_id: str, keys: dict[str, str], zone_id: str) -> Path:
    """Add `[sensor.<id>]` and name it in `[zone.<id>]`; return where the old file is kept.

    Raises:
        ConfigError: The result would not be valid; nothing has changed.
        StoreError: The file cannot be written, or somebody else is writing it.
    """
    path = path.resolve()
    try:
        old = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from None
    new = _with_sensor(old, sensor_id, keys, zone_id).encode()
    backup = path.with_name(f"{path.name}.bak")
    try:
        with _beside(path, new) as tried, _beside(path, old) as kept:
            _check(tried, path)
            if path.read_bytes() != old:
                raise StoreError(f"{path}: was changed by somebody else just now; try again")
            kept.replace(backup)
            tried.replace(path)
            _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: cannot be replaced: {error.strerror}") from None
    return backup


def _with_sensor(content: bytes, sensor_id: str, keys: dict[str, str], zone_id: str) -> str:
    """Return the text with the sensor at its end, where no comment is torn from what it is about."""
    import tomlkit  # noqa: PLC0415  only here

    try:
        text = content.decode()
        document = tomlkit.parse(text)
        zone: Any = document.get("zone", {}).get(zone_id)  # Any: tomlkit's items are what the file holds
        if zone is None:
            raise ConfigError((f"zone.{zone_id}", "there is no such zone"))
        if isinstance(sensors := document.get("sensor", {}), tomlkit.items.InlineTable):
            raise ConfigError(("sensor", "is written as { … }; write [sensor.<id>] tables to add one"))
        if sensor_id in sensors:
            raise ConfigError((f"sensor.{sensor_id}", "there is one already"))
        zone.setdefault("sensors", []).append(sensor_id)
        changed = tomlkit.dumps(document)
    except (ValueError, TypeError, AttributeError) as error:
        # legal, but not as anybody writes it; or broken since it was read
        raise ConfigError((f"zone.{zone_id}", f"cannot be changed here ({error}); edit it by hand")) from None
    lines = [
        f"[sensor.{sensor_id}]",
        *(f"{key} = {tomlkit.item(value).as_string()}" for key, value in keys.items()),
    ]
    end = "\r\n" if "\r\n" in text else "\n"
    return end.join([changed.rstrip(), "", *lines, ""])


@contextlib.contextmanager
def _beside(path: Path, content: bytes) -> Iterator[Path]:
    """Write a file beside another, with its owner and mode; gone at the end unless moved away."""
    # in the same folder: relative paths inside mean the same, and the replacement is atomic
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".toml", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _own_as(path, new)
        yield new
    finally:
        new.unlink(missing_ok=True)


def _check(tried: Path, path: Path) -> None:
    """Raise ConfigError if the gateway would not take the file; it tells of `path`."""
    try:
        read(tried)
    except ConfigError as error:
        problems = ((key.replace(tried.name, path.name), problem) for key, problem in error.problems)
        raise ConfigError(*problems) from None


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
