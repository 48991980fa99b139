"""Writing a sensor into the configuration file; comments stay."""

from pathlib import Path
from typing import Any

from gateway.cli.config_file import replace
from gateway.errors import ConfigError, StoreError


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
    return replace(path, old, _with_sensor(old, sensor_id, keys, zone_id).encode())


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
