"""A home of the cloud for each test: authority, database, services' certificates, a broker in memory.

With REED_TEST_DATABASE_URL (an administrator's, e.g. "postgresql://postgres@127.0.0.1:5432/postgres") the
databases are made there instead of in SQLite files.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connections

from cloud.home import Home
from cloud.project.setup import migrate, prepare, start
from cloud.registry.parts import parts
from tests.cloud.databases import Databases
from tests.fakes.broker_admin import ModelBroker

# here, so that test modules may import services and models like anything else
start(Home(Path("/nonexistent/reed-cloud")))

ROOT_PASSPHRASE = "correct-horse-battery-staple"  # noqa: S105  # of a test

SERVICES = {
    "broker": ("localhost", "127.0.0.1"),
    "web": ("localhost", "127.0.0.1"),
    "ingest": (),
    "broker-admin": (),
    "revoked-probe": (),
}


@dataclass
class Clock:
    """The registry's clock, which a test may move."""

    offset: timedelta = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def advance(self, **by: float) -> None:
        self.offset += timedelta(**by)


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    url = os.environ.get("REED_TEST_DATABASE_URL", "")
    found = Databases(url)
    yield found
    connections["default"].close()
    found.drop_all()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Home:
    """Return a home that is copied for each test: ceremonies and migrations take a third of a second."""
    from cloud.registry import services  # noqa: PLC0415  # imports models

    home = Home(tmp_path_factory.mktemp("template") / "home")
    prepare(home, databases.settings_of_template())
    start(home)
    parts()._broker = ModelBroker()
    migrate()
    services.create_root(ROOT_PASSPHRASE, actor="cli:test")
    services.create_intermediate(ROOT_PASSPHRASE, actor="cli:test")
    services.ensure_services(SERVICES, actor="cli:test")
    services.publish_crl()
    connections["default"].close()
    return home


@pytest.fixture
def home(
    template: Home, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    for name in ("REED_CA_PASSPHRASE", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    mine = Home(tmp_path / "home")
    shutil.copytree(template.folder, mine.folder)
    mine.settings_file.write_text(databases.settings_of_copy())
    start(mine)
    parts()._broker = ModelBroker()
    parts()._broker.install_crl(mine.crl_file.read_bytes())
    yield mine
    connections["default"].close()


@pytest.fixture
def broker(home: Home) -> ModelBroker:
    found = parts()._broker
    assert isinstance(found, ModelBroker)
    return found


@pytest.fixture
def clock(home: Home) -> Clock:
    made = Clock()
    parts().now = made.now
    return made
