"""Sensors' keys that do not stand in the configuration: `key = "secret:NAME"`.

`reed-gateway secret open` lays them open before the daemon starts; systemd's credentials do as well. Nobody
waits for them: a sensor whose secret is not there says so, and is tried again (ADR 15).
"""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from gateway.config.model import Config
from gateway.drivers.adverts import secret_named
from gateway.errors import ConfigError, DriverError

ConfigT = TypeVar("ConfigT")

_KEY = "key"
_MAX_BYTES = 4096


def folders(config: Config, environment: Mapping[str, str] = os.environ) -> tuple[Path, ...]:
    """Return where opened secrets are looked for, in this order."""
    given = environment.get("CREDENTIALS_DIRECTORY")
    return (*([Path(given)] if given else []), config.gateway.runtime_dir / "secrets")


def used(config: Config) -> Iterator[tuple[str, str]]:
    """Yield sensor and name of each secret that the configuration speaks of."""
    for sensor_id, entry in config.sensors.items():
        if name := secret_named(getattr(entry.config, _KEY, "")):
            yield sensor_id, name


def revealed(sensor: ConfigT, places: Sequence[Path]) -> ConfigT:
    """Return a sensor's configuration with its key in it. Reads a file: not for the loop.

    Raises:
        DriverError: The secret is not open, or it is no key.
    """
    name = secret_named(getattr(sensor, _KEY, ""))
    if not name:
        return sensor
    try:
        return dataclasses.replace(sensor, **{_KEY: _read(name, places)})  # type: ignore[type-var]
    except ConfigError as error:
        raise DriverError(f"secret {name} is no key of such a sensor: {error.problems[0][1]}") from None


def _read(name: str, places: Sequence[Path]) -> str:
    for place in places:
        try:
            with (place / name).open("rb") as file:
                return file.read(_MAX_BYTES).decode("ascii", "replace").strip()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise DriverError(f"{place / name}: the sensor's key cannot be read: {error.strerror}") from None
    raise DriverError(f"its key is the secret {name}, which is not open; run: reed-gateway secret open")
