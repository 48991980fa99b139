"""All settings of one installation: cloud.toml, read once, checked, frozen."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cloud.brokers.settings import Settings as Broker
from cloud.ca.config import Config as Ca
from cloud.ca.policy import Policy
from cloud.errors import SetupError
from cloud.home import Home
from cloud.project.table import Reader, Table
from cloud.registry.config import Enrolment, Public

T = TypeVar("T")

_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The table `[database]`.

    Args:
        url: "postgresql://USER:PASSWORD@HOST:PORT/NAME"; "postgresql:///NAME?host=/run/postgresql" for a
            unix socket; "" is SQLite in the home.
    """

    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One attribute for each table of cloud.toml; every key has a default."""

    public: Public = field(default_factory=Public)
    enrolment: Enrolment = field(default_factory=Enrolment)
    policy: Policy = field(default_factory=Policy)
    ca: Ca = field(default_factory=Ca)
    broker: Broker = field(default_factory=Broker)
    database: Database = field(default_factory=Database)


def read(home: Home) -> Config:
    """Return the settings; without a file all have their defaults.

    Raises:
        SetupError: With everything that is wrong, each with its key and what is allowed.
    """
    reader = Reader()
    config = reader.build(Config, _parse(home.settings_file))
    if config is None or reader.problems:
        raise SetupError(f"{home.settings_file}: {'; '.join(reader.problems)}")
    return config


def _parse(path: Path) -> Table:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(text) > _MAX_BYTES:
        raise SetupError(f"{path}: is larger than {_MAX_BYTES} bytes; is it the right file?")
    try:
        return tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        raise SetupError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"{path}: is not TOML: {error}") from None
    except RecursionError:
        raise SetupError(f"{path}: is nested too deeply") from None
