"""A hawkBit over mutual TLS and a gateway at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.authority import Authority
from tests.fakes.hawkbit.device import Computer, Device
from tests.fakes.hawkbit.repository import Repository
from tests.fakes.hawkbit.server import HawkbitServer, running
from tests.fakes.hawkbit.web import PlainWeb


@pytest.fixture(scope="package")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def server(repository: Repository, authority: Authority) -> Iterator[HawkbitServer]:
    with running(repository, authority) as serving:
        yield serving


@pytest.fixture
def device(server: HawkbitServer, authority: Authority, tmp_path: Path) -> Device:
    web = PlainWeb(server.url, *authority.files("gw-1"), authority.home.roots_file)
    return Device(web, "gw-1", tmp_path, Computer())
